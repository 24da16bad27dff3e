import { html } from '#common/pages/html.ts'
import { breakable, ms, number, percent } from '#common/pages/text.ts'
import type { Figures, RouteFigures } from '../figures.ts'
import { page } from './layout.ts'
import { byRole, roleTag } from './text.ts'

const PERIODS = ['Last 5 minutes', 'Since the start']
const COLUMNS = ['Requests', 'Failed', 'Failed %', 'p50', 'p95']

/** Requests, failures and durations by role and route. */
export function routesPage (routes: RouteFigures[]) {
  const content = routes.length === 0
    ? html`<div class="empty"><p><strong>No requests have been reported yet.</strong></p></div>`
    : table(routes)
  return page({
    title: 'Routes',
    section: '/routes',
    content: html`<h1>Routes</h1>
<div id="routes" data-live>${content}</div>`
  })
}

// ARIA roles are repeated, since a table with another display value loses its own
function table (routes: RouteFigures[]) {
  const periods = PERIODS.map((period) =>
    html`<th role="columnheader" scope="colgroup" colspan="${COLUMNS.length}">${period}</th>`)
  const columns = COLUMNS.map((title) =>
    html`<th role="columnheader" scope="col" class="figure">${title}</th>`)
  return html`<table class="routes" role="table">
<caption>A sampled request counts for the number of requests that it represents.</caption>
<thead role="rowgroup">
<tr role="row"><td role="cell" colspan="2"></td>${periods}</tr>
<tr role="row"><th role="columnheader" scope="col">Service</th>
<th role="columnheader" scope="col">Route</th>${PERIODS.map(() => columns)}</tr>
</thead>
<tbody role="rowgroup">${routes.toSorted(byRole).map(row)}</tbody>
</table>`
}

function row ({ role, route, recent, total }: RouteFigures) {
  return html`<tr role="row"><td role="cell" class="of-role">${roleTag(role)}</td>
<th role="rowheader" scope="row">${breakable(route || 'unnamed')}</th>
${[recent, total].map((figures, i) => cells(PERIODS[i]!, figures))}</tr>`
}

function cells (period: string, { requests, failures, p50, p95 }: Figures) {
  const bad = failures > 0 ? 'figure bad' : 'figure'
  const texts: Array<[title: string, text: string, style: string]> = [
    ['requests', number(requests), 'figure first'],
    ['failed', number(failures), bad],
    ['failed %', percent(failures, requests), bad],
    ['p50', ms(p50), 'figure'],
    ['p95', ms(p95), 'figure']
  ]
  return texts.map(([title, text, style], i) => html`<td role="cell" class="${style}" data-title="${title}"
 data-period="${i === 0 && period}">${text}</td>`)
}
