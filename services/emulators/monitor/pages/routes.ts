import type { Figures, RouteFigures } from '../figures.ts'
import { html } from '../html.ts'
import { page } from './layout.ts'
import { breakable, byRole, ms, number, percent, roleTag } from './text.ts'

/** Requests, failures and durations by role and route. */
export function routesPage (routes: RouteFigures[]) {
  return page({
    title: 'Routes',
    section: 'routes',
    content: html`<h1>Routes</h1>
<div id="routes" data-live>${routes.length === 0
  ? html`<div class="empty"><p><strong>No request has been told of yet.</strong></p></div>`
  // Roles are said again, since a table that is laid out as blocks loses them
  : html`<table class="routes" role="table">
<caption>A sampled request counts for those it stands for. Half of the requests were answered within p50, 95 of 100 within p95.</caption>
<thead role="rowgroup">
<tr role="row"><td role="cell" colspan="2"></td><th role="columnheader" scope="colgroup" colspan="5">Last 5 minutes</th><th role="columnheader" scope="colgroup" colspan="5">Since the start</th></tr>
<tr role="row"><th role="columnheader" scope="col">Service</th><th role="columnheader" scope="col">Route</th>${[1, 2].map(() =>
  ['Requests', 'Failed', 'Failed %', 'p50', 'p95'].map((title) => html`<th role="columnheader" scope="col" class="figure">${title}</th>`))}</tr>
</thead>
<tbody role="rowgroup">${routes.toSorted(byRole).map(row)}</tbody>
</table>`}</div>`
  })
}

function row ({ role, route, recent, total }: RouteFigures) {
  return html`<tr role="row"><td role="cell" class="of-role">${roleTag(role)}</td><th role="rowheader" scope="row">${breakable(route || 'unnamed')}</th>${cells('Last 5 minutes', recent)}${cells('Since the start', total)}</tr>`
}

function cells (period: string, { requests, failures, p50, p95 }: Figures) {
  const bad = failures > 0 ? 'figure bad' : 'figure'
  const texts: Array<[title: string, text: string, kind: string]> = [
    ['requests', number(requests), 'figure'],
    ['failed', number(failures), bad],
    ['failed %', percent(failures, requests), bad],
    ['p50', ms(p50), 'figure'],
    ['p95', ms(p95), 'figure']
  ]
  return texts.map(([title, text, kind], i) => html`<td role="cell" class="${kind}${i === 0 && ' first'}" data-title="${title}" data-period="${i === 0 && period}">${text}</td>`)
}
