import { html } from '#common/pages/html.ts'
import { breakable, count, ms, number, percent, time } from '#common/pages/text.ts'
import type { Figures } from '../figures.ts'
import type { Summary } from '../operations.ts'
import { page } from './layout.ts'
import { byRole, roleTag } from './text.ts'

/** The maximum number of rows in a list. */
const MAX_ROWS = 50

type RoleFigures = Figures & { role: string }

/** The last operations, failed ones first. */
export function operationsPage (summaries: Summary[], roles: RoleFigures[]) {
  const failed = summaries.filter((summary) => summary.failed)
  const succeeded = summaries.filter((summary) => !summary.failed && !summary.background)
  const background = summaries.filter((summary) => !summary.failed && summary.background)
  const tiles = roles.length > 0 && html`<ul class="tiles">${roles.toSorted(byRole).map(tile)}</ul>`
  const lists = [list('Failed', failed), list('Succeeded', succeeded), list('In the background', background)]
  return page({
    title: failed.length > 0 ? `${number(failed.length)} failed · Operations` : 'Operations',
    section: '/',
    content: html`<h1>Operations</h1>
<section id="now" data-live aria-label="The last five minutes">${tiles}</section>
<div id="operations" data-live="hold">${summaries.length === 0 ? empty : lists}</div>`
  })
}

/** The operations whose ids begin with `search`, unless it is exactly one. */
export function searchPage (search: string, summaries: Summary[]) {
  return page({
    title: 'Search',
    section: '/',
    search,
    content: html`<h1>Search</h1>
<div id="operations" data-live="hold">${summaries.length === 0
  ? html`<div class="empty"><p><strong>No operation begins with <code>${search}</code>.</strong></p>
<p>An operation id has 32 hexadecimal digits: it is the <code>traceId</code> of an error, and
<code>operationId</code> in the audit register. Only the last operations are kept, and telemetry arrives with
a delay of a few seconds.</p></div>`
  : list('Found', summaries)}</div>`
  })
}

const empty = html`<div class="empty"><p><strong>No telemetry has arrived yet.</strong></p>
<p>Services export telemetry in batches, a few seconds after the response.</p></div>`

function tile ({ role, requests, failures, p50, p95 }: RoleFigures) {
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
  const hidden = summaries.length - MAX_ROWS
  return html`<section class="operations">
<h2>${title} <span class="count">${number(summaries.length)}</span></h2>
<div class="heads" aria-hidden="true"><span>Time, UTC</span><span>Operation</span><span>Result</span>
<span>Services</span><span class="figure">Duration</span></div>
<ol>${summaries.slice(0, MAX_ROWS).map(row)}</ol>
${hidden > 0 && html`<p class="faint">${count(hidden, 'older operation')} not listed: search by id.</p>`}
</section>`
}

function row ({ id, name, resultCode, started, durationMs, failed, roles }: Summary) {
  const link = html`<a href="/operations/${encodeURIComponent(id)}">${breakable(name || 'unnamed')}</a>`
  return html`<li${failed && html` class="failed"`}>
<span class="when">${time(started)}</span>
<span class="what">${link} <span class="id">${id.slice(0, 12)}</span></span>
<span class="result">${failed && html`<span class="badge bad">Failed</span> `}${resultCode}</span>
<span class="roles">${roles.map(roleTag)}</span>
<span class="figure">${ms(durationMs)}</span>
</li>`
}
