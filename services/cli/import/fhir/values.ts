import type { Element } from './source.ts'

// Data types of FHIR R4 as the schemas of the API have them (services/patient/schemas/values.ts)

const MAX_TEXT = 1_024
const MAX_TRANSLATIONS = 16

/** The object without what is undefined or empty; undefined if nothing is left. */
export function compact<T extends object> (object: T): T | undefined {
  const kept = Object.entries(object).filter(([, value]) =>
    value !== undefined && !(Array.isArray(value) && value.length === 0))
  return kept.length > 0 ? Object.fromEntries(kept) as T : undefined
}

/** CodeableConcept: its first coding, its text, and its other codings as translations. */
export function concept (element: Element | undefined) {
  if (!element) return undefined
  const text = element.text('text')
  const codings = element.children('coding').filter((one) => one.has('code') || one.has('display'))
  const [first, ...others] = codings.slice(0, 1 + MAX_TRANSLATIONS).map(coding)
  if (first) return compact({ ...first, text, translations: others })
  return text !== undefined && text.length > MAX_TEXT ? { text } : text
}

function coding (element: Element) {
  return compact({
    system: element.text('system'),
    code: element.text('code'),
    display: element.text('display')
  })
}

/** The concept of a list; further ones stay unread. */
export const firstConcept = (elements: Element[]) => concept(elements[0])

/** Quantity, Age and SimpleQuantity; undefined without a number. */
export function quantity (element: Element | undefined) {
  const number = element?.number('value')
  if (!element || number === undefined) return undefined
  return compact({
    number,
    unit: element.text('unit'),
    system: element.text('system'),
    code: element.text('code'),
    comparator: element.text('comparator')
  })
}

export function range (element: Element | undefined) {
  return element && compact({ low: quantity(element.child('low')), high: quantity(element.child('high')) })
}

export function ratio (element: Element | undefined) {
  return element && compact({
    numerator: quantity(element.child('numerator')),
    denominator: quantity(element.child('denominator'))
  })
}

export function period (element: Element | undefined) {
  return element && compact({ start: element.text('start'), end: element.text('end') })
}

/** Identifier; undefined without a value. */
export function identifier (element: Element) {
  const value = element.text('value')
  if (value === undefined) return undefined
  return compact({
    system: element.text('system'),
    value,
    type: concept(element.child('type')),
    period: period(element.child('period'))
  })!
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const SYSTEM_OF_URIS = 'urn:ietf:rfc:3986'

/** The id of a resource as an identifier: a URI if its id is a UUID, or else its type and id. */
function ownIdentifier (type: string, id: string) {
  if (UUID.test(id)) return { system: SYSTEM_OF_URIS, value: `urn:uuid:${id}` }
  return /^[a-z][a-z0-9+.-]*:/i.test(id) ? { system: SYSTEM_OF_URIS, value: id } : { value: `${type}/${id}` }
}

/** The identifiers of a resource, the one of its own id first. */
export function identifiers (element: Element, id: string) {
  const own = ownIdentifier(element.source.type, id)
  const others = element.children('identifier').flatMap((one) => identifier(one) ?? [])
  return [own, ...others.filter(({ system, value }) => system !== own.system || value !== own.value)]
}

/** A reference as text: where it leads to, or else what it is called. */
export function referenceText (element: Element | undefined) {
  if (!element) return undefined
  return element.text('reference') ?? element.child('identifier')?.text('value') ?? element.text('display')
}

/** References as text: what each is called, or else where it leads to. */
export function namesOf (elements: Element[]) {
  const names = elements.flatMap((element) => nameOf(element) ?? [])
  return names.length > 0 ? names.join('; ') : undefined
}

function nameOf (element: Element) {
  const display = element.text('display')
  if (display !== undefined) return display
  const contained = containedIn(element)
  const name = contained && nameOfResource(contained)
  if (name !== undefined) element.text('reference')
  return name ?? referenceText(element)
}

function containedIn (element: Element) {
  const reference = element.peek('reference')
  return typeof reference === 'string' ? element.source.contained(reference) : undefined
}

/** The name of an organization or a person. */
function nameOfResource (resource: Element) {
  const [human] = resource.children('name')
  if (!human) return resource.text('name')
  const parts = () => [...human.texts('prefix'), ...human.texts('given'), human.text('family')]
  return human.text('text') ?? (parts().filter(Boolean).join(' ') || undefined)
}

/** A reference to a specimen: the type of a contained one, or else what or where it is. */
export function specimen (element: Element | undefined) {
  if (!element) return undefined
  const type = concept(containedIn(element)?.child('type'))
  if (type === undefined) return element.text('display') ?? referenceText(element)
  element.text('reference')
  return type
}

/** effective[x]: a date or time, an instant, or the start of a period. */
export function effective (element: Element) {
  return element.text('effectiveDateTime') ?? element.text('effectiveInstant') ??
    element.child('effectivePeriod')?.text('start')
}
