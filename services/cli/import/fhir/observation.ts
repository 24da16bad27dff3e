import type { Element } from './source.ts'
import {
  compact, concept, effective, firstConcept, identifiers, namesOf, period, quantity, range, ratio,
  referenceText, specimen
} from './values.ts'

/** The observation of a test result (Observation in services/patient/schemas/test-result.ts). */
export function toObservation (element: Element, id: string) {
  return compact({
    id,
    status: element.text('status'),
    category: firstConcept(element.children('category')),
    ...measured(element),
    effective: effective(element),
    issued: element.text('issued'),
    encounter: referenceText(element.child('encounter')),
    performer: namesOf(element.children('performer')),
    specimen: specimen(element.child('specimen')),
    method: concept(element.child('method')),
    bodySite: concept(element.child('bodySite')),
    note: notes(element),
    components: element.children('component').map(measured)
  })!
}

/** What an observation has in common with its components. */
function measured (element: Element) {
  return compact({
    code: concept(element.child('code')),
    value: value(element),
    absentReason: concept(element.child('dataAbsentReason')),
    interpretation: firstConcept(element.children('interpretation')),
    referenceRange: element.children('referenceRange').flatMap((one) => referenceRange(one) ?? [])
  })
}

/** value[x], but for SampledData. */
function value (element: Element) {
  const integer = element.number('valueInteger')
  const kinds = {
    ...(integer === undefined ? quantity(element.child('valueQuantity')) : { number: integer }),
    coded: concept(element.child('valueCodeableConcept')),
    text: element.text('valueString'),
    boolean: element.flag('valueBoolean'),
    range: range(element.child('valueRange')),
    ratio: ratio(element.child('valueRatio')),
    time: element.text('valueTime') ?? element.text('valueDateTime'),
    period: period(element.child('valuePeriod'))
  }
  return compact(kinds)
}

function referenceRange (element: Element) {
  return compact({
    ...range(element),
    text: element.text('text'),
    type: concept(element.child('type')),
    appliesTo: element.children('appliesTo').flatMap((one) => concept(one) ?? [])
  })
}

function notes (element: Element) {
  return element.children('note').flatMap((one) => one.text('text') ?? []).join('\n\n') || undefined
}

/** The test result of an observation that no report names. */
export function toTest (element: Element, id: string) {
  return compact({
    identifiers: identifiers(element, id),
    orderReference: referenceText(element.children('basedOn')[0]),
    title: element.child('code')?.text('text'),
    status: element.text('status'),
    effective: effective(element),
    observations: [toObservation(element, id)]
  })!
}
