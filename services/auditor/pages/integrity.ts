import { html, type Html } from '#common/pages/html.ts'
import { table } from '#common/pages/table.ts'
import { count, dateTime, definitions, number } from '#common/pages/text.ts'
import type { CheckpointSignature, CheckpointView, KnownKey } from '../log.ts'
import type { RecordFilter } from '../filters.ts'
import type { Session } from '../session.ts'
import { dateField } from './forms.ts'
import { BASE, page } from './layout.ts'
import { download, progress } from './parts.ts'

export interface LogState {
  /** Undefined before the first checkpoint. */
  checkpoint?: CheckpointView
  /** The newest checkpoint that a witness has cosigned. */
  witnessed?: CheckpointView
  keys: KnownKey[]
}

/** The newest checkpoint, who witnessed it and when, and the keys. */
export function integrityPage (
  session: Session, state: LogState | { problem: string }, filter: RecordFilter
) {
  return page(session, {
    title: 'Integrity',
    section: '/integrity',
    content: html`<h1>Integrity of the register</h1>
${'problem' in state
  ? html`<div class="notice bad" role="alert"><p>${state.problem}</p></div>`
  : logSections(state)}
<div class="actions">${download(`${BASE}/checkpoint`, 'Checkpoint')}
${download(`${BASE}/keys`, 'Keys')}</div>
${evidenceForm(filter)}
${progress}`
  })
}

const noCheckpoint = html`<div class="empty"><p><strong>There is no checkpoint yet.</strong></p>
<p>The log signs the first one a second or so after the first record.</p></div>`

function logSections ({ checkpoint, witnessed, keys }: LogState) {
  return html`${checkpoint ? checkpointSection(checkpoint) : noCheckpoint}
${checkpoint && witnessSection(checkpoint, witnessed)}
<section><h2>Keys of the log <span class="count">${number(keys.length)}</span></h2>
${table({
  caption: 'Each key but the first is signed by a key before it, so that checks need the first one only.',
  rows: keys,
  columns: [
    { title: 'Key id', kind: 'head', cell: ({ keyId }) => html`<span class="id">${keyId}</span>` },
    { title: 'Public key', cell: ({ vkey }) => html`<span class="id">${vkey}</span>` },
    { title: 'Handed over by', cell: ({ succession }) => successions[succession] }
  ]
})}
</section>`
}

const successions: Record<KnownKey['succession'], Html> = {
  first: html`the first key`,
  signed: html`<span class="badge good">signed by a key before it</span>`,
  unsigned: html`<span class="badge bad">no key before it has signed it</span>`
}

/** Longer than a witness that answers takes for each new checkpoint, in ms. */
const WITNESS_MS = 60_000

/** When the last witness cosigned, in ms since 1970. */
export function witnessedAt ({ cosignatures }: CheckpointView) {
  return Math.max(...cosignatures.map(({ time }) => time ?? 0))
}

/** Whether no witness has cosigned what the log has had for a while. */
export function isBehind (checkpoint: CheckpointView, witnessed: CheckpointView | undefined) {
  if (!witnessed) return true
  return witnessed.size < checkpoint.size && Date.now() - witnessedAt(witnessed) > WITNESS_MS
}

function witnessSection (checkpoint: CheckpointView, witnessed: CheckpointView | undefined) {
  const behind = isBehind(checkpoint, witnessed) && html`<div class="notice bad"><p>${witnessed
    ? html`No witness has cosigned a checkpoint since ${dateTime(witnessedAt(witnessed))} UTC.`
    : html`No witness has cosigned a checkpoint yet.`}
A witness does within seconds. If this stays so, tell the operator: of newer records only the log itself says
that none was removed.</p></div>`
  return html`<section><h2>Witnesses</h2>${behind}
${witnessed && html`<p>The first ${count(witnessed.size, 'record is', 'records are')} witnessed. A record is
a few seconds after it is stored.</p>
${signatureTable('Cosigned by witnesses', witnessed.cosignatures)}`}</section>`
}

function checkpointSection ({ origin, size, root, signatures }: CheckpointView) {
  return html`<section><h2>Newest checkpoint</h2>
<p>${count(size, 'record is', 'records are')} in the log. A change or a removal of any of them would
contradict this checkpoint, which others hold too.</p>
<dl class="facts">${definitions([
    ['Log', origin],
    ['Records', number(size)],
    ['Root', html`<span class="id">${root}</span>`]
  ])}</dl>
${signatureTable('Signed by the log', signatures)}</section>`
}

function signatureTable (caption: string, signatures: CheckpointSignature[]) {
  const isTimed = signatures.some(({ time }) => time !== undefined)
  const when = ({ time }: CheckpointSignature) => time !== undefined && dateTime(time)
  return table({
    caption,
    rows: signatures,
    columns: [
      { title: 'Name', kind: 'head', cell: ({ name }) => name },
      { title: 'Key id', cell: ({ keyId }) => html`<span class="id">${keyId}</span>` },
      ...(isTimed ? [{ title: 'When, UTC', cell: when }] : []),
      { title: 'Signature', cell: stateOf }
    ]
  })
}

export function stateOf ({ state }: CheckpointSignature) {
  return state === 'valid'
    ? html`<span class="badge good">checked</span>`
    : html`<span class="faint">not checked: this page does not have the key</span>`
}

function evidenceForm ({ from, to }: RecordFilter) {
  return html`<section><h2>Evidence pack</h2>
<p>A zip with the records of a time, a proof for each, the checkpoint, the public keys and the way to check
them without this system. At most 10,000 records: to narrow it down, search the
<a href="${BASE}/records">records</a> first.</p>
<form method="get" action="${BASE}/evidence"><div class="fields">
${dateField('from', 'From', from, { required: true })}${dateField('to', 'To', to, { required: true })}</div>
<div class="actions"><button data-download-form>Download</button></div></form></section>`
}
