import { PolicyError, type Element } from './documents.ts'

// Reads the parts of an element, and throws a PolicyError for every part that is missing or unknown

export function isDeletion ({ name, attributes, children, text }: Element) {
  return name === 'set-header' && attributes['exists-action'] === 'delete' && children.length === 0 && text === ''
}

export function fieldName (element: Element) {
  const name = literal(element, 'name')
  if (!/^[\w-]+$/.test(name)) throw new PolicyError(element, 'name must be that of a header field')
  return name.toLowerCase()
}

/** @throws {PolicyError} an attribute is missing, or not known */
export function checkAttributes (element: Element, required: string[], optional: string[] = []) {
  const given = Object.keys(element.attributes)
  const unknown = given.find((name) => !required.includes(name) && !optional.includes(name))
  if (unknown) throw new PolicyError(element, `<${element.name}> has an attribute that is not known here: ${unknown}`)
  const missing = required.find((name) => !given.includes(name))
  if (missing) throw new PolicyError(element, `<${element.name}> lacks ${missing}`)
}

export function empty (element: Element) {
  if (element.children[0]) throw new PolicyError(element.children[0], `<${element.children[0].name}> is not known here`)
  if (element.text) throw new PolicyError(element, `<${element.name}> holds text`)
}

/** The statements in an element that may hold nothing else. */
export function holding (element: Element) {
  if (element.text) throw new PolicyError(element, `<${element.name}> holds text`)
  return element.children
}

/** The children of an element, which must be these, in this order. */
export function named<N extends string> (element: Element, names: N[]): Record<N, Element> {
  if (element.text) throw new PolicyError(element, `<${element.name}> holds text`)
  const unknown = element.children.find(({ name }, i) => name !== names[i])
  if (unknown) throw new PolicyError(unknown, `<${unknown.name}> is not known here`)
  if (element.children.length < names.length) throw new PolicyError(element, `<${element.name}> lacks <${names[element.children.length]}>`)
  return Object.fromEntries(element.children.map((child) => [child.name, child])) as Record<N, Element>
}

export function expressionIn (element: Element, text: string) {
  if (!text.includes('@(') && !text.includes('@{')) return undefined
  if (!text.startsWith('@(') || !text.endsWith(')')) throw new PolicyError(element, `the form of the expression is not known: ${text}`)
  return text.slice(2, -1)
}

/** An attribute that may not be an expression. */
export function literal (element: Element, name: string) {
  const value = element.attributes[name]!
  if (value === '' || expressionIn(element, value) !== undefined) throw new PolicyError(element, `${name} must be a text`)
  return value
}

export function number (element: Element, name: string) {
  const value = element.attributes[name]!
  if (!/^\d+(?:\.\d+)?$/.test(value)) throw new PolicyError(element, `${name} must be a number`)
  return Number(value)
}

export function seconded (element: Element, name: string) {
  const seconds = number(element, name)
  if (seconds <= 0) throw new PolicyError(element, `${name} must be more than 0 seconds`)
  return seconds
}

export function flag (element: Element, name: string) {
  const value = element.attributes[name] ?? 'false'
  if (value !== 'true' && value !== 'false') throw new PolicyError(element, `${name} must be true or false`)
  return value === 'true'
}

/** The one cache that there is here. */
export function internal (element: Element) {
  if (element.attributes['caching-type'] !== 'internal') throw new PolicyError(element, 'caching-type must be internal')
}
