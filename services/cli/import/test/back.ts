// Makes resources of FHIR from what the API has, to compare them with those that were imported

type Json = Record<string, any>

/** The object without what is undefined or empty. */
function compact (object: Json): Json | undefined {
  const kept = Object.entries(object).filter(([, value]) =>
    value !== undefined && !(Array.isArray(value) && value.length === 0))
  return kept.length > 0 ? Object.fromEntries(kept) : undefined
}

const map = <T>(items: T[] | undefined, change: (item: T) => unknown) => items?.map(change)

function concept (value: string | Json | undefined) {
  if (value === undefined) return undefined
  if (typeof value === 'string') return { text: value }
  const { text, translations = [], ...first } = value
  return compact({ coding: compact(first) && [first, ...translations], text })
}

function quantity (value: number | Json | undefined) {
  if (value === undefined) return undefined
  if (typeof value !== 'object' || JSON.stringify(value)[0] !== '{') return { value }
  const { number, ...others } = value
  return { value: number, ...others }
}

const reference = (text: string | undefined) => text === undefined ? undefined : { reference: text }
const display = (text: string | undefined) => text === undefined ? undefined : { display: text }

function identifier ({ system, value, type, period }: Json) {
  return compact({ system, value, type: concept(type), period })
}

/** The first identifier is that of the resource. */
export function idOf ([own]: Json[]) {
  return own!.value.replace(/^urn:uuid:|^\w+\//, '')
}

export function patientBack (patient: Json) {
  const { identifiers, title, firstName, middleNames = [], lastName, fullName } = patient
  const { birthName, preferredName } = patient
  const prefix = title && [title]
  const given = [firstName, ...middleNames].filter(Boolean)
  const main = compact({ prefix, given, family: lastName, text: fullName })
  const maiden = birthName && { use: 'maiden', prefix, given, family: birthName }
  const nickname = preferredName && { use: 'nickname', given: [preferredName] }
  return {
    resourceType: 'Patient',
    id: idOf(identifiers),
    ...compact({
      identifier: map(identifiers.slice(1), identifier),
      name: [main && { use: 'official', ...main }, maiden && compact(maiden), nickname].filter(Boolean),
      gender: patient.gender,
      birthDate: patient.dateOfBirth,
      ...(typeof patient.deceased === 'boolean'
        ? { deceasedBoolean: patient.deceased }
        : { deceasedDateTime: patient.deceased }),
      active: patient.active,
      telecom: map(patient.contacts, ({ preferred, ...contact }: Json) =>
        ({ ...contact, ...(preferred && { rank: 1 }) })),
      address: map(patient.addresses, ({ lines, postCode, ...address }: Json) =>
        compact({ ...address, line: lines, postalCode: postCode })),
      maritalStatus: concept(patient.maritalStatus),
      communication: patient.language &&
        [{ language: { coding: [{ system: 'urn:ietf:bcp:47', code: patient.language }] } }]
    })
  }
}

function value (value: Json = {}) {
  const { number, coded, text, boolean, range, ratio, time, period, ...unit } = value
  const isTime = time?.[2] === ':'
  return {
    valueQuantity: number === undefined ? undefined : { value: number, ...unit },
    valueCodeableConcept: concept(coded),
    valueString: text,
    valueBoolean: boolean,
    valueRange: range && compact({ low: quantity(range.low), high: quantity(range.high) }),
    valueRatio: ratio &&
      compact({ numerator: quantity(ratio.numerator), denominator: quantity(ratio.denominator) }),
    valueTime: isTime ? time : undefined,
    valueDateTime: isTime ? undefined : time,
    valuePeriod: period
  }
}

function measured (observation: Json) {
  const { interpretation } = observation
  return {
    code: concept(observation.code),
    ...value(observation.value),
    dataAbsentReason: concept(observation.absentReason),
    interpretation: interpretation && [concept(interpretation)],
    referenceRange: map(observation.referenceRange, ({ low, high, text, type, appliesTo }: Json) => compact({
      low: quantity(low), high: quantity(high), text, type: concept(type), appliesTo: map(appliesTo, concept)
    }))
  }
}

export function observationBack (observation: Json, subject?: string) {
  const { id, status, category, effective, issued, encounter, performer, note } = observation
  return {
    resourceType: 'Observation',
    id,
    ...compact({
      status,
      subject: reference(subject),
      category: category && [concept(category)],
      ...measured(observation),
      effectiveDateTime: effective,
      issued,
      encounter: reference(encounter),
      performer: performer && [display(performer)],
      specimen: display(observation.specimen),
      method: concept(observation.method),
      bodySite: concept(observation.bodySite),
      note: note && note.split('\n\n').map((text: string) => ({ text })),
      component: map(observation.components, (component: Json) => compact(measured(component)))
    })
  }
}

/** The observation of a test result that has no others. */
export function singleBack ({ identifiers, orderReference, observations }: Json, subject?: string): Json {
  return {
    ...observationBack(observations[0], subject),
    ...compact({
      identifier: map(identifiers.slice(1), identifier),
      basedOn: orderReference && [reference(orderReference)]
    })
  }
}

export function reportBack (test: Json, subject?: string) {
  const { identifiers, orderReference, category, status, effective, issued, encounter, performer } = test
  return {
    resourceType: 'DiagnosticReport',
    id: idOf(identifiers),
    ...compact({
      identifier: map(identifiers.slice(1), identifier),
      basedOn: orderReference && [reference(orderReference)],
      status,
      category: category && [concept(category)],
      code: concept(test.code),
      subject: reference(subject),
      encounter: reference(encounter),
      effectiveDateTime: effective,
      issued,
      performer: performer && [display(performer)],
      specimen: test.specimen && [display(test.specimen)],
      result: map(test.observations, ({ id, code }: Json) =>
        ({ reference: `urn:uuid:${id}`, display: code.text ?? code })),
      conclusion: test.conclusion
    })
  }
}

/** The values of a resource by their paths, such as "name[0].given[1]". */
function leaves (value: unknown, path = ''): Map<string, string> {
  const text = JSON.stringify(value)
  if (!/^[[{]/.test(text)) return new Map([[path, text]])
  const isList = Array.isArray(value)
  return new Map(Object.entries(value as object).flatMap(([name, inner]) =>
    [...leaves(inner, isList ? `${path}[${name}]` : path === '' ? name : `${path}.${name}`)]))
}

/** What one resource has and the other has not, or has otherwise; extensions as one. */
export function missing (from: object, other: object): Map<string, number> {
  const others = leaves(other)
  const found = new Set<string>()
  for (const [path, text] of leaves(from)) if (others.get(path) !== text) found.add(whole(from, path))
  const counts = new Map<string, number>()
  for (const path of found) {
    const named = path.replace(/\[\d+\]/g, '')
    counts.set(named, (counts.get(named) ?? 0) + 1)
  }
  return counts
}

/** The path of the extension that a path leads into, with the end of its URL. */
function whole (resource: object, path: string) {
  const [extension] = /^.*?\bextension\[\d+\]/.exec(path) ?? []
  if (extension === undefined) return path
  const { url } = extension.split(/[.[\]]+/).filter(Boolean)
    .reduce((holder: Json, name) => holder[name], resource)
  return `${extension}(${url.split('/').at(-1)})`
}
