import { resultOf, type StoredRecord } from '#common/audit-record.ts'
import { html } from '#common/pages/html.ts'
import { count, definitions, time } from '#common/pages/text.ts'
import type { RecordsResult } from '../audit-records.ts'

const MAX_DISCLOSED = 20

const reasons = {
  'not connected': 'No audit register is connected.',
  'no response': 'The audit register does not respond.'
}

/** The audit records of an operation. */
export function auditRecords (result: RecordsResult) {
  const title = 'Audit register'
  if ('unavailable' in result) {
    return html`<h2 id="register">${title}</h2><p class="faint">${reasons[result.unavailable]}</p>`
  }
  const { records } = result
  return html`<h2 id="register">${title} <span class="count">${count(records.length, 'record')}</span></h2>
${records.length === 0
  ? html`<p class="faint">The register has no record of this operation.</p>`
  : html`<ol class="records">${records.map(item)}</ol>`}`
}

function item (record: StoredRecord) {
  const { resource, outcome, disclosed = [] } = record
  return html`<li class="record">
<h3>${resource.operation} ${resource.type}
<span class="outcome${outcome === 'failure' && ' bad'}">${resultOf(record)}</span></h3>
<dl>${definitions([
  ['Recorded, UTC', time(record.createdDate)],
  ['Actor', record.actor],
  ['On behalf of', record.onBehalfOf],
  ['Purpose', record.purpose],
  ['Reason', record.reason],
  ['Client address', record.clientAddress],
  ['Source system', record.sourceSystemName],
  [resource.type === 'patient' ? 'Patient' : 'Resource', resource.id],
  ['Patient', resource.patientId],
  ['Criteria', record.criteria?.join(', ')],
  ['Attempt', record.attemptOf],
  ['Gateway request', record.requestId],
  ['Record', record.id]
])}</dl>
${disclosed.length > 0 && list(disclosed)}
</li>`
}

function list (disclosed: Array<{ id: string, version: string }>) {
  const hidden = disclosed.length - MAX_DISCLOSED
  const items = disclosed.slice(0, MAX_DISCLOSED)
    .map(({ id, version }) => html`<li>${id} <span class="faint">${version}</span></li>`)
  return html`<p class="faint">Disclosed, with version:</p>
<ul class="disclosed">${items}</ul>
${hidden > 0 && html`<p class="faint">and ${count(hidden, 'more', 'more')}</p>`}`
}
