import { SettingsError } from '#common/config.ts'

export const SECTIONS = ['inbound', 'backend', 'outbound', 'on-error'] as const
export type Section = typeof SECTIONS[number]

export interface Place {
  file: string
  line: number
}

export interface Element extends Place {
  /** The section that contains it. */
  section: Section
  name: string
  attributes: Record<string, string>
  children: Element[]
  /** Its text without that of its children, trimmed. */
  text: string
}

/** A policy document that this gateway does not support, or that the settings do not allow. */
class PolicyError extends SettingsError {
  override name = 'PolicyError'
}

/** @throws {PolicyError} */
export function refuse ({ file, line }: Place, problem: string): never {
  throw new PolicyError(`${file}:${line}: ${problem}`)
}

/** @throws {PolicyError} */
export function refuseTag (element: Element): never {
  refuse(element, `<${element.name}> is not supported here`)
}

/** @throws {PolicyError} `element` has attributes other than `supported` */
export function checkAttributes (element: Element, supported: string[] = []) {
  const unknown = Object.keys(element.attributes).find((name) => !supported.includes(name))
  if (unknown) refuse(element, `<${element.name}> has an attribute that is not supported: ${unknown}`)
}

/**
 * Returns the children of `element`.
 *
 * @throws {PolicyError} it has text
 */
export function childrenOf (element: Element) {
  if (element.text) refuse(element, `<${element.name}> must not contain text`)
  return element.children
}

/**
 * Returns the children of `element` by their names.
 *
 * @throws {PolicyError} they are not `names`, in this order, or it has text
 */
export function childrenNamed<N extends string> (element: Element, names: readonly N[]) {
  const children = childrenOf(element)
  const unknown = children.find(({ name }, i) => name !== names[i])
  if (unknown) refuseTag(unknown)
  const missing = names[children.length]
  if (missing) refuse(element, `<${element.name}> requires <${missing}>`)
  return Object.fromEntries(children.map((child) => [child.name, child])) as Record<N, Element>
}
