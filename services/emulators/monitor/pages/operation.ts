import { html } from '#common/pages/html.ts'
import { breakable, count, definitions, ms, time } from '#common/pages/text.ts'
import type { RecordsResult } from '../audit-records.ts'
import type { Item } from '../envelope.ts'
import { summaryOf, type Operation, type Summary } from '../operations.ts'
import { treeOf, walk, type Node } from '../tree.ts'
import { auditRecords } from './audit-records.ts'
import { page } from './layout.ts'
import { nameOf, roleTag } from './text.ts'
import { waterfall } from './waterfall.ts'

const MAX_FAILURES = 5

/** One operation as a waterfall across services, with its audit records beside it. */
export function operationPage (id: string, operation: Operation | undefined, records: RecordsResult) {
  const summary = operation && summaryOf(operation)
  return page({
    title: summary?.name || 'Operation',
    section: '/',
    search: id,
    content: html`<div class="operation">
<div id="telemetry" data-live>${operation && summary ? telemetry(operation, summary) : missing(id)}</div>
<aside id="records" data-live aria-labelledby="register">${auditRecords(records)}</aside>
</div>`
  })
}

function telemetry ({ id, items, notKept }: Operation, summary: Summary) {
  const { name, failed, resultCode, durationMs, started, roles } = summary
  const tree = treeOf(items)
  const failures = alike([...walk(tree)].filter(({ origin }) => origin)).slice(0, MAX_FAILURES).map(failure)
  const badge = failed
    ? html`<span class="badge bad">Failed</span>`
    : html`<span class="badge good">Succeeded</span>`
  return html`<h1><span class="eyebrow">Operation</span> ${breakable(name || 'unnamed')}</h1>
<p class="id whole"><span class="unseen">Operation id </span>${id}</p>
<dl class="facts">${definitions([
  ['Result', html`${badge} ${resultCode}`],
  ['Duration', ms(durationMs)],
  ['Start, UTC', html`${new Date(started).toISOString().slice(0, 10)} ${time(started)}`],
  ['Services', html`<span class="roles">${roles.map(roleTag)}</span>`]
])}</dl>
${failures.length > 0 && html`<ul class="failures" aria-label="Failures">${failures}</ul>`}
<h2>Waterfall <span class="count">${count(items.length, 'item')}</span></h2>
${waterfall(tree, durationMs)}
${notKept > 0 && html`<p class="faint">${count(notKept, 'more item was', 'more items were')} dropped.</p>`}`
}

function missing (id: string) {
  return html`<h1><span class="eyebrow">Operation</span> Not found</h1>
<p class="id whole">${id}</p>
<div class="empty"><p><strong>There is no telemetry of this operation.</strong></p>
<p>Telemetry arrives a few seconds after the response; this page refreshes itself. The operation may also have
been dropped for newer ones, or not been sampled; audit records are never sampled.</p></div>`
}

/** Failures of the same kind as one, with their number. */
function alike (failures: Node[]) {
  const kindOf = ({ item }: Node) => JSON.stringify([item.role, item.name, item.resultCode, errorType(item)])
  const kinds = Map.groupBy(failures, kindOf).values()
  return [...kinds].map((same) => ({ item: same[0]!.item, times: same.length }))
}

function failure ({ item, times }: { item: Item, times: number }) {
  const verb = item.kind === 'exception' ? 'was thrown' : 'failed'
  const error = [item.resultCode, errorType(item)].filter(Boolean).join(', ')
  const description = `${verb}${times > 1 ? ` ${times} times` : ''}${error && `: ${error}`}`
  return html`<li>${roleTag(item.role)} <span><strong>${nameOf(item)}</strong> ${description}</span></li>`
}

function errorType ({ attributes }: Item) {
  return attributes.find(([name]) => name === 'error.type')?.[1]
}
