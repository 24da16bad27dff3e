import { resultOf, type StoredRecord } from '#common/audit-record.ts'
import type { Recorded } from '../audit-records.ts'
import type { Item } from '../envelope.ts'
import { html, type Html } from '../html.ts'
import type { Operation, Summary } from '../operations.ts'
import { treeOf, walk, type Node } from '../tree.ts'
import { page } from './layout.ts'
import { breakable, colourOf, count, ms, roleTag, time } from './text.ts'

const SHOWN_IDS = 20
const DEEPEST = 10
/** The narrowest bar that is still seen, in percent of the whole. */
const NARROWEST = 0.35

interface Shown {
  id: string
  operation?: Operation
  summary?: Summary
  recorded: Recorded
}

/** One operation as a waterfall across services, with its audit records beside it. */
export function operationPage ({ id, operation, summary, recorded }: Shown) {
  return page({
    title: summary?.name || 'Operation',
    section: 'operations',
    search: id,
    content: html`<div class="operation">
<div id="telemetry" data-live>${operation && summary ? telemetry(operation, summary) : missing(id)}</div>
<aside id="records" data-live aria-labelledby="register">${register(recorded)}</aside>
</div>`
  })
}

function telemetry ({ id, items, notKept }: Operation, summary: Summary) {
  const tree = treeOf(items)
  const failures = [...walk(tree)].filter(({ origin }) => origin)
  return html`<h1><span class="eyebrow">Operation</span> ${breakable(summary.name || 'unnamed')}</h1>
<p class="id whole"><span class="unseen">Operation id </span>${id}</p>
<dl class="facts">
<div><dt>Result</dt><dd>${summary.failed ? html`<span class="badge bad">Failed</span>` : html`<span class="badge good">Succeeded</span>`} ${summary.resultCode}</dd></div>
<div><dt>Duration</dt><dd>${ms(summary.durationMs)}</dd></div>
<div><dt>Began, UTC</dt><dd>${new Date(summary.started).toISOString().slice(0, 10)} ${time(summary.started)}</dd></div>
<div><dt>Services</dt><dd class="roles">${summary.roles.map(roleTag)}</dd></div>
</dl>
${failures.length > 0 && html`<ul class="failures" aria-label="Where it failed">${alike(failures).slice(0, 5).map(failure)}</ul>`}
<h2>Waterfall <span class="count">${count(items.length, 'item')}</span></h2>
<p class="legend faint"><span><span class="sample"></span> work of a service</span> <span><span class="sample call"></span> a call it made</span> <span><span class="sample moment"></span> log, event, exception</span></p>
<div class="waterfall">
<div class="axis" aria-hidden="true"><span></span><span class="ticks">${[0, 1, 2, 3].map((quarter) => html`<span>${quarter === 0 ? 0 : ms(summary.durationMs * quarter / 4)}</span>`)}</span><span class="figure">${ms(summary.durationMs)}</span></div>
${branch(tree, summary.durationMs)}
</div>
${notKept > 0 && html`<p class="faint">${count(notKept, 'more item is', 'more items are')} not kept.</p>`}`
}

function missing (id: string) {
  return html`<h1><span class="eyebrow">Operation</span> Nothing here yet</h1>
<p class="id whole">${id}</p>
<div class="empty"><p><strong>No telemetry of this operation is here.</strong></p>
<p>It comes a few seconds after the answer; this page looks again by itself. It may also have made room for newer operations, or been left out of the sample; audit records are never sampled.</p></div>`
}

/** Failures of the same kind as one, with their number. */
function alike (failures: Node[]) {
  const kinds = Map.groupBy(failures, ({ item }) => JSON.stringify([item.role, item.name, item.resultCode, errorType(item)]))
  return [...kinds.values()].map(([first, ...others]) => ({ item: first!.item, times: 1 + others.length }))
}

function failure ({ item, times }: { item: Item, times: number }) {
  const how = [item.resultCode, errorType(item)].filter(Boolean).join(', ')
  return html`<li>${roleTag(item.role)} <span><strong>${nameOf(item)}</strong> ${item.kind === 'exception' ? 'was thrown' : 'failed'}${times > 1 && ` ${times} times`}${how && `: ${how}`}</span></li>`
}

function errorType ({ attributes }: Item) {
  return attributes.find(([name]) => name === 'error.type')?.[1]
}

function branch (nodes: Node[], totalMs: number, depth = 0): Html {
  return html`<ol>${nodes.map((node) => html`<li>${row(node, totalMs, depth)}${node.children.length > 0 && branch(node.children, totalMs, depth + 1)}</li>`)}</ol>`
}

function row ({ item, offsetMs, orphan, origin }: Node, totalMs: number, depth: number) {
  const { kind, role, durationMs, failed } = item
  const hasDuration = kind === 'request' || kind === 'dependency'
  return html`<details data-key="${item.id ?? `${kind} ${item.time} ${item.name.slice(0, 64)}`}" class="${kind}${failed && ' failed'}${origin && ' origin'}">
<summary>
<span class="label depth-${Math.min(depth, DEEPEST)}"><span class="name">${breakable(nameOf(item))}</span> <span class="tags">${roleTag(role)} <span class="kind">${kindOf(item)}</span>${
  failed && html` <span class="badge bad">${origin ? 'Failed here' : 'Failed'} ${item.resultCode}</span>`}${!failed && item.resultCode && html` <span class="code">${item.resultCode}</span>`}</span></span>
<span class="track ${colourOf(role)}"><svg class="bar" width="100%" height="14" aria-hidden="true">${bar(item, offsetMs, totalMs)}</svg></span>
<span class="timing">${hasDuration && html`<span class="took">${ms(durationMs)}</span> `}<span class="offset">+${ms(offsetMs, 0)}</span></span>
</summary>
<dl class="attributes depth-${Math.min(depth, DEEPEST)}">${attributesOf(item, orphan).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
</details>`
}

function bar ({ kind, durationMs }: Item, offsetMs: number, totalMs: number) {
  const share = (part: number) => totalMs === 0 ? 0 : Math.min(100, 100 * part / totalMs)
  const left = share(offsetMs)
  if (kind !== 'request' && kind !== 'dependency') return html`<circle cx="${Math.min(99.3, Math.max(0.7, left)).toFixed(2)}%" cy="7" r="4"/>`
  const width = totalMs === 0 ? 100 : Math.max(NARROWEST, share(durationMs))
  return html`<rect x="${Math.min(left, 100 - width).toFixed(2)}%" y="2" width="${width.toFixed(2)}%" height="10" rx="2"/>`
}

function nameOf ({ name, kind }: Item) {
  return name || `unnamed ${kind}`
}

function kindOf ({ kind, type, target, severity }: Item) {
  if (kind === 'dependency') return ['calls', type === 'Http' ? undefined : type, target].filter(Boolean).join(' ')
  return kind === 'message' ? severity ?? 'Log' : kind
}

function attributesOf ({ id, parentId, time, severity, weight, attributes }: Item, orphan: boolean) {
  const own: Array<[string, string | undefined]> = [
    ['time', new Date(time).toISOString()],
    ['id', id],
    ['parent', parentId && orphan ? `${parentId} (outside of what arrived)` : parentId],
    ['severity', severity],
    ['stands for', weight === 1 ? undefined : `${Math.round(weight * 100) / 100} of its kind`]
  ]
  const unindented = attributes.map(([name, value]) => [name, name === 'stack' ? value.replace(/^[ \t]+/gm, '') : value])
  return [...own.filter(([, value]) => value !== undefined), ...unindented]
}

const unknown = {
  'not connected': html`<p class="faint">No register is connected.</p>`,
  'not reached': html`<p class="faint">The register does not answer now.</p>`
}

function register (recorded: Recorded) {
  if ('unknown' in recorded) return html`<h2 id="register">Audit register</h2>${unknown[recorded.unknown]}`
  const { records } = recorded
  return html`<h2 id="register">Audit register <span class="count">${count(records.length, 'record')}</span></h2>
${records.length === 0 ? html`<p class="faint">The register has no record of this operation.</p>` : html`<ol class="records">${records.map(record)}</ol>`}`
}

function record (record: StoredRecord) {
  const { id, createdDate, sourceSystemName, resource, actor, clientAddress, requestId, criteria, disclosed, attemptOf } = record
  const facts: Array<[string, Html | string | undefined]> = [
    ['Recorded, UTC', time(createdDate)],
    ['By', actor],
    ['From', clientAddress],
    ['Through', sourceSystemName],
    [resource.type === 'patient' ? 'Patient' : 'Resource', resource.id],
    ['Patient', resource.patientId],
    ['Criteria', criteria?.join(', ')],
    ['Attempt', attemptOf],
    ['Gateway request', requestId],
    ['Record', id]
  ]
  return html`<li class="record">
<h3>${resource.operation} ${resource.type} <span class="outcome${record.outcome === 'failure' && ' bad'}">${resultOf(record)}</span></h3>
<dl>${facts.map(([name, value]) => value && html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
${disclosed && disclosed.length > 0 && html`<p class="faint">Disclosed, with version:</p>
<ul class="disclosed">${disclosed.slice(0, SHOWN_IDS).map(({ id, version }) => html`<li>${id} <span class="faint">${version}</span></li>`)}</ul>
${disclosed.length > SHOWN_IDS && html`<p class="faint">and ${count(disclosed.length - SHOWN_IDS, 'more', 'more')}</p>`}`}
</li>`
}
