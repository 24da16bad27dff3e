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

/** Purposes of others, and these, in words. */
const allPurposes: Record<string, string> = {
  ...purposeNames,
  BTG: 'Break the glass',
  ETREAT: 'Emergency treatment',
  HOPERAT: 'Operations',
  HPAYMT: 'Payment',
  TREAT: 'Treatment'
}

export function purposeName (code: string) {
  return allPurposes[code] ?? code
}

/** What auditors ask and change in the register, and its maintenance, by operation. */
const questions: Record<string, string> = {
  archive: 'archived records, which the register has no more',
  'access-log': 'asked for the access log',
  accounting: 'took the accounting of disclosures',
  evidence: 'took an evidence pack',
  statistics: 'asked for statistics',
  'actor-summary': 'asked for the summary of an actor',
  'list-findings': 'listed findings',
  'list-watched-patients': 'listed watched patients',
  load: 'loaded a record of the register',
  'load-finding': 'opened a finding',
  proof: 'asked for a proof',
  'review-finding': 'changed the state of a finding',
  search: 'searched the register',
  'unwatch-patient': 'stopped watching a patient',
  'watch-patient': 'watched a patient'
}

const words: Record<string, string> = {
  'list-versions': 'listed versions of',
  'load-version': 'loaded a version of',
  create: 'created',
  delete: 'deleted',
  list: 'listed',
  load: 'loaded',
  maintenance: 'migrated search keys of',
  merge: 'merged',
  move: 'moved',
  observations: 'listed observations of',
  patch: 'changed',
  refuse: 'refused a call for its',
  restore: 'restored',
  search: 'searched',
  update: 'replaced'
}

/** The operations that this page knows. */
export const operations = [...new Set([...Object.keys(words), ...Object.keys(questions)])].sort()

/** What was done, in words; codes that this page does not know are shown as they are. */
export function what ({ resource: { operation, type } }: Pick<AuditRecord, 'resource'>) {
  if (type === 'audit-record') return questions[operation] ?? `asked the register: ${operation}`
  return `${words[operation] ?? operation} ${type}`
}

/** The result, marked where it is a failure. A question has none: it is recorded before its answer. */
export function resultBadge (record: AuditRecord) {
  if (record.resource.type === 'audit-record' && record.outcome === undefined) return undefined
  const result = resultOf(record)
  return record.outcome === 'failure' ? html`<span class="badge bad">${result}</span>` : html`${result}`
}
