import { html } from '#common/pages/html.ts'
import { table } from '#common/pages/table.ts'
import { number } from '#common/pages/text.ts'

const HEIGHT = 120

interface Bar {
  /** For people: an hour, a day. */
  label: string
  /** The value of each series, from the bottom to the top. */
  values: number[]
}

/**
 * Stacked bars over time as a figure: an SVG, and the same as a table for screen readers and for who wants
 * the numbers.
 *
 * @param series their names; the first two have the colours `first` and `second`
 */
export function barPlot (title: string, of: string, series: string[], bars: Bar[]) {
  const sums = bars.map(({ values }) => values.reduce((sum, value) => sum + value, 0))
  const most = Math.max(1, ...sums)
  const width = 100 / Math.max(1, bars.length)
  const shapes = bars.map(({ label, values }, i) => {
    let top = HEIGHT
    const tip = `${label}: ${values.map((value, j) => `${number(value)} ${series[j]}`).join(', ')}`
    return html`<g><title>${tip}</title>${values.map((value, j) => {
      const height = value === 0 ? 0 : Math.max(1, HEIGHT * value / most)
      top -= height
      return value > 0 && html`<rect class="series-${j}" x="${(i * width + width * 0.08).toFixed(3)}%"
 y="${top.toFixed(1)}" width="${(width * 0.84).toFixed(3)}%" height="${height.toFixed(1)}"/>`
    })}</g>`
  })
  const total = sums.reduce((sum, value) => sum + value, 0)
  return html`<figure class="plot">
<figcaption>${title}${series.length > 1 && html` <span class="legend">${series.map((name, j) =>
    html`<span><span class="key series-${j}"></span> ${name}</span>`)}</span>`}</figcaption>
<p class="scale faint" aria-hidden="true">${number(most)}</p>
<svg width="100%" height="${HEIGHT}" role="img"
 aria-label="${title}: ${number(total)} ${of}; the table below has the numbers">${shapes}</svg>
<p class="ends faint" aria-hidden="true"><span>${bars[0]?.label}</span><span>${bars.at(-1)?.label}</span></p>
<details><summary>As a table</summary>
${table({
  caption: title,
  unseen: true,
  rows: bars.filter((_bar, i) => sums[i]! > 0),
  columns: [
    { title: 'Time, UTC', kind: 'head', cell: ({ label }) => label },
    ...series.map((name, j) => ({
      title: name, kind: 'figure' as const, cell: ({ values }: Bar) => number(values[j]!)
    }))
  ]
})}</details>
</figure>`
}

interface Share {
  /** Empty: the records have no such value. */
  name: string
  count: number
  /** To the records that have it. */
  href?: string
}

const MAX_SHARES = 8

/** How often each value occurs, the most frequent first, as a table with a bar in each row. */
export function sharePlot (title: string, shares: Share[], unnamed = 'none') {
  const sorted = shares.toSorted((a, b) => b.count - a.count || (a.name < b.name ? -1 : 1))
  const most = Math.max(1, sorted[0]?.count ?? 1)
  const rest = sorted.slice(MAX_SHARES)
  const others = { name: `${rest.length} others`, count: rest.reduce((sum, { count }) => sum + count, 0) }
  const rows: Share[] = [...sorted.slice(0, MAX_SHARES), ...(rest.length > 0 ? [others] : [])]
  return html`<div class="shares">${table({
    caption: title,
    rows,
    columns: [
      {
        title,
        kind: 'head',
        cell: ({ name, href }) => href ? html`<a href="${href}">${name}</a>` : name || unnamed
      },
      { title: 'Share', cell: ({ count }) => shareBar(Math.min(1, count / most)) },
      { title: 'Records', kind: 'figure', cell: ({ count }) => number(count) }
    ]
  })}</div>`
}

/** @param part from 0 to 1 */
function shareBar (part: number) {
  return html`<svg width="100%" height="10" aria-hidden="true">
<rect class="series-0" width="${(100 * part).toFixed(1)}%" height="10" rx="2"/></svg>`
}
