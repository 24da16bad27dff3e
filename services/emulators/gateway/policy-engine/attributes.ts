import { checkAttributes, refuse, refuseTag, type Element } from './elements.ts'
import type { Evaluate } from './exchange.ts'
import { compileExpression } from './expressions.ts'
import type { Type } from './operands.ts'

interface Attribute {
  element: Element
  name: string
  /** The variables that expressions may use. */
  variables: ReadonlySet<string>
}

/** Reads the value of an attribute, and throws a PolicyError if it is not supported. */
type Reader<T> = ((value: string, attribute: Attribute) => T) & { byDefault?: string }
export type Readers = Record<string, Reader<unknown>>
export type Values<R extends Readers> = { [name in keyof R]: ReturnType<R[name]> }

/** @throws {PolicyError} an attribute is missing or not supported */
export function readAttributes<R extends Readers> (
  element: Element, readers: R, variables: ReadonlySet<string> = new Set()
): Values<R> {
  checkAttributes(element, Object.keys(readers))
  return Object.fromEntries(Object.entries(readers).map(([name, reader]) => {
    const value = element.attributes[name] ?? reader.byDefault
    if (value === undefined) refuse(element, `<${element.name}> requires the attribute ${name}`)
    return [name, reader(value, { element, name, variables })]
  })) as Values<R>
}

/** The text of an element that has nothing else; it may be an expression. */
export function textOf (element: Element, variables: ReadonlySet<string>): Evaluate<string> {
  checkAttributes(element)
  const { text, children, name } = element
  if (children[0]) refuseTag(children[0])
  if (!text) refuse(element, `<${name}> is empty`)
  return expression<string>('string')(text, { element, name, variables })
}

/** An expression of the type `wanted`, or a literal if that is a string. */
export function expression<T> (wanted: Type): Reader<Evaluate<T>> {
  return (value, { element, name, variables }) => {
    const source = sourceOf(element, value)
    if (source !== undefined) return compileExpression(element, source, wanted, variables)
    if (wanted === 'bool') refuse(element, `${name} must be an expression`)
    return () => value as T
  }
}

export const anyText: Reader<string> = (value) => value

export const literal: Reader<string> = (value, { element, name }) => {
  if (value === '' || sourceOf(element, value) !== undefined) refuse(element, `${name} must be a text`)
  return value
}

export const fieldName: Reader<string> = (value, { element, name }) => {
  if (!/^[\w-]+$/.test(value)) refuse(element, `${name} must be the name of a header field`)
  return value.toLowerCase()
}

export const origin: Reader<string> = (value, { element, name }) => {
  if (!/^https?:\/\/[^/\s]+$/.test(value)) refuse(element, `${name} must be an http or https URL without a path`)
  return value
}

export const number: Reader<number> = (value, { element, name }) => {
  if (!/^\d+(?:\.\d+)?$/.test(value)) refuse(element, `${name} must be a number`)
  return Number(value)
}

export const duration: Reader<number> = (value, attribute) => {
  const seconds = number(value, attribute)
  if (seconds <= 0) refuse(attribute.element, `${attribute.name} must be more than 0 seconds`)
  return seconds
}

export function oneOf<V extends string> (...values: V[]): Reader<V> {
  return (value, { element, name }) => {
    if (!values.includes(value as V)) refuse(element, `${name} must be ${values.join(' or ')}`)
    return value as V
  }
}

export const flag: Reader<boolean> = (value, attribute) => oneOf('true', 'false')(value, attribute) === 'true'
export const optionalFlag: Reader<boolean> = Object.assign(flag.bind(null), { byDefault: 'false' })

/** The C# in `@(…)`, undefined if `value` is a literal. */
function sourceOf (element: Element, value: string) {
  if (!/@[({]/.test(value)) return undefined
  if (!/^@\(.*\)$/s.test(value)) refuse(element, `the expression is not supported: ${value}`)
  return value.slice(2, -1)
}
