import { toObservation } from './observation.ts'
import type { Element } from './source.ts'
import {
  compact, concept, effective, firstConcept, identifiers, namesOf, referenceText, specimen
} from './values.ts'

/** An observation that a report names, with its id. */
export interface Result {
  element: Element
  id: string
}

/** The test result of a report and its observations. */
export function toReport (element: Element, id: string, results: Result[]) {
  const code = element.child('code')
  return compact({
    identifiers: identifiers(element, id),
    orderReference: referenceText(element.children('basedOn')[0]),
    category: firstConcept(element.children('category')),
    code: concept(code),
    title: code?.text('text'),
    status: element.text('status'),
    effective: effective(element),
    issued: element.text('issued'),
    encounter: referenceText(element.child('encounter')),
    performer: namesOf(element.children('performer')),
    specimen: specimen(element.children('specimen')[0] ?? element.child('specimen')),
    conclusion: element.text('conclusion') ?? presented(element),
    observations: results.map(({ element, id }) => toObservation(element, id))
  })!
}

/** The text of a report that was issued as plain text. */
function presented (element: Element) {
  const isPlain = (one: Element) => /^text\/plain\b/.test(String(one.peek('contentType')))
  const form = element.children('presentedForm').find(isPlain)
  const data = form?.text('data')
  if (data === undefined) return undefined
  form!.text('contentType')
  return Buffer.from(data, 'base64').toString()
}
