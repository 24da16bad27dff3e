import { html } from '#common/pages/html.ts'
import { count, dateTime, definitions } from '#common/pages/text.ts'
import type { CheckpointSignature, proofOf } from '../log.ts'
import { purposeName, resultBadge, what } from '../names.ts'
import type { Session } from '../session.ts'
import type { AuditRecord } from '../timeline.ts'
import { stateOf } from './integrity.ts'
import { BASE, page } from './layout.ts'
import { andMore, download, idLink, patientOf, progress } from './parts.ts'

const MAX_DISCLOSED = 200

export interface RecordView {
  record: AuditRecord
  /** The proof that the log has the record, or why there is none. */
  proof: ReturnType<typeof proofOf> | { missing: string }
  /** The URL of its operation in the monitor. */
  operation?: string
}

/** One record with its proof. */
export function recordPage (session: Session, { record, proof, operation }: RecordView) {
  const { id, resource, createdDate, operationId, disclosed = [] } = record
  const patientId = patientOf(record)
  return page(session, {
    title: 'Record',
    section: '/records',
    content: html`<h1><span class="eyebrow">Record</span> ${what(record)}</h1>
<p class="id whole">${id}</p>
<dl class="pairs">${definitions([
      ['Date, UTC', dateTime(createdDate)],
      ['Result', resultBadge(record)],
      ['Actor', record.actor],
      ['On behalf of', record.onBehalfOf],
      ['Purpose', record.purpose && `${purposeName(record.purpose)} (${record.purpose})`],
      ['Reason', record.reason],
      ['Patient', patientId && idLink('patients', patientId)],
      ['Resource', resource.id === patientId ? undefined : resource.id],
      ['Criteria', record.criteria?.join(', ')],
      ['Attempt', record.attemptOf && idLink('records', record.attemptOf)],
      ['Client address', record.clientAddress],
      ['Source system', record.sourceSystemName],
      ['Gateway request', record.requestId],
      ['Operation', operationLink(operationId, operation)],
      ['Count', record.count === undefined ? undefined : String(record.count)]
    ])}</dl>
${disclosed.length > 0 && disclosedSection(disclosed)}
${proofSection(id, proof)}
${progress}`
  })
}

function operationLink (id: string, url: string | undefined) {
  if (url === undefined) return html`<span class="id">${id}</span>`
  return html`<a class="id" href="${url}" rel="noreferrer">${id}</a> in the monitor`
}

function disclosedSection (disclosed: Array<{ id: string, version: string }>) {
  const shown = disclosed.slice(0, MAX_DISCLOSED).map(({ id, version }) =>
    html`<li><span class="id">${id}</span> <span class="faint">version ${version}</span></li>`)
  return html`<section><h2>Disclosed <span class="count">${count(disclosed.length, 'document')}</span></h2>
<ul class="disclosed">${shown}</ul>${andMore(disclosed.length - MAX_DISCLOSED)}</section>`
}

function signer (signature: CheckpointSignature) {
  const { name, time } = signature
  return html`<li><strong>${name}</strong> ${time !== undefined && html`<span class="faint">
${dateTime(time)} UTC</span>`} ${stateOf(signature)}</li>`
}

function proofSection (id: string, proof: RecordView['proof']) {
  if ('missing' in proof) return html`<section><h2>Proof</h2><p class="notice">${proof.missing}</p></section>`
  const { index, hashes, checkpoint: { size, origin, signatures, cosignatures } } = proof
  const signers = [...signatures, ...cosignatures]
  return html`<section><h2>Proof</h2>
<p>The record is entry ${index} of ${size} in the log ${origin}.
${count(hashes.length, 'hash leads', 'hashes lead')} from it to the root of a checkpoint that
${count(signers.length, 'party', 'parties')} signed.</p>
<ul class="signers">${signers.map(signer)}</ul>
<details><summary>Hashes</summary>
<ol class="hashes">${hashes.map((hash) => html`<li class="id">${hash}</li>`)}</ol></details>
<div class="actions">${download(`${BASE}/records/${id}/proof`, 'Proof (tlog-proof)')}
${download(`${BASE}/records/${id}/proof.json`, 'Proof with the record (JSON)')}
${download(`${BASE}/evidence?id=${encodeURIComponent(id)}`, 'Evidence pack')}</div></section>`
}
