import type { Figures } from '../figures.ts'
import { html } from '../html.ts'
import type { Summary } from '../operations.ts'
import { page } from './layout.ts'
import { breakable, byRole, count, ms, number, percent, roleTag, time } from './text.ts'

/** How many of a list are shown. */
const SHOWN = 50

interface Shown {
  summaries: Summary[]
  roles: Array<Figures & { role: string }>
}

/** The last operations, the failed first. */
export function operationsPage ({ summaries, roles }: Shown) {
  const failed = summaries.filter((summary) => summary.failed)
  const succeeded = summaries.filter((summary) => !summary.failed && !summary.background)
  const background = summaries.filter((summary) => !summary.failed && summary.background)
  return page({
    title: failed.length > 0 ? `${number(failed.length)} failed · Operations` : 'Operations',
    section: 'operations',
    content: html`<h1>Operations</h1>
<section id="now" data-live aria-label="The last five minutes">${roles.length > 0 && html`<ul class="tiles">${roles.toSorted(byRole).map(tile)}</ul>`}</section>
<div id="operations" data-live="hold">${summaries.length === 0 ? nothing : [list('Failed', failed), list('Succeeded', succeeded), list('In the background', background)]}</div>`
  })
}

/** What begins with the id that was asked for, where that is not exactly one operation. */
export function foundPage (search: string, summaries: Summary[]) {
  return page({
    title: 'Search',
    section: 'operations',
    search,
    content: html`<h1>Search</h1>
<div id="operations" data-live="hold">${summaries.length === 0
  ? html`<div class="empty"><p><strong>No operation begins with <code>${search}</code>.</strong></p>
<p>An operation id has 32 hexadecimal digits: it is the <code>traceId</code> of an error, and <code>operationId</code> in the audit register. Only the last operations are kept; telemetry comes a few seconds late.</p></div>`
  : list('Found', summaries)}</div>`
  })
}

const nothing = html`<div class="empty"><p><strong>Nothing has arrived yet.</strong></p>
<p>Telemetry comes in batches, a few seconds after a request was answered.</p></div>`

function tile ({ role, requests, failures, p50, p95 }: Figures & { role: string }) {
  return html`<li>
<h2>${roleTag(role)} <span class="faint">last 5 min</span></h2>
<dl>
<div><dt>${Math.round(requests) === 1 ? 'request' : 'requests'}</dt><dd>${number(requests)}</dd></div>
<div${failures > 0 && html` class="bad"`}><dt>failed</dt><dd>${percent(failures, requests)}</dd></div>
<div><dt>p50</dt><dd>${ms(p50)}</dd></div>
<div><dt>p95</dt><dd>${ms(p95)}</dd></div>
</dl>
</li>`
}

function list (title: string, summaries: Summary[]) {
  if (summaries.length === 0) return undefined
  const left = summaries.length - SHOWN
  return html`<section class="operations">
<h2>${title} <span class="count">${number(summaries.length)}</span></h2>
<div class="heads" aria-hidden="true"><span>Time, UTC</span><span>Operation</span><span>Result</span><span>Services</span><span class="figure">Duration</span></div>
<ol>${summaries.slice(0, SHOWN).map(row)}</ol>
${left > 0 && html`<p class="faint">${count(left, 'older one is', 'older ones are')} found by id.</p>`}
</section>`
}

function row ({ id, name, resultCode, started, durationMs, failed, roles }: Summary) {
  return html`<li${failed && html` class="failed"`}>
<span class="when">${time(started)}</span>
<span class="what"><a href="/operations/${encodeURIComponent(id)}">${breakable(name || 'unnamed')}</a> <span class="id">${id.slice(0, 12)}</span></span>
<span class="result">${failed ? html`<span class="badge bad">Failed</span> ${resultCode}` : resultCode}</span>
<span class="roles">${roles.map(roleTag)}</span>
<span class="figure">${ms(durationMs)}</span>
</li>`
}
