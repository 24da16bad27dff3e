import { html } from '#common/pages/html.ts'
import type { AuditRecord } from './timeline.ts'
import { resultOf } from '#common/audit-record.ts'

/** Purposes that auditors have, by their code (HL7 v3). */
export const purposeNames: Record<string, string> = {
  HCOMPL: 'Compliance review',
  FRAUD: 'Suspected fraud',
  HLEGAL: 'Legal matter',
  PATRQT: 'Request of the patient',
  HQUALIMP: 'Quality improvement'
}

const words: Record<string, string> = {
  'access-log': 'asked for the access log of',
  'actor-summary': 'asked for a summary of',
  'list-versions': 'listed versions of',
  'load-version': 'loaded a version of',
  create: 'created',
  delete: 'deleted',
  list: 'listed',
  load: 'loaded',
  merge: 'merged',
  move: 'moved',
  observations: 'listed observations of',
  patch: 'changed',
  proof: 'asked for the proof of',
  restore: 'restored',
  search: 'searched',
  update: 'replaced'
}

/** What was done, in words; codes that this page does not know are shown as they are. */
export function what ({ resource: { operation, type } }: Pick<AuditRecord, 'resource'>) {
  return `${words[operation] ?? operation} ${type}`
}

/** The result, marked where it is a failure. */
export function resultBadge (record: AuditRecord) {
  const result = resultOf(record)
  return record.outcome === 'failure' ? html`<span class="badge bad">${result}</span>` : html`${result}`
}

export function isUuid (text: string) {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)
}
