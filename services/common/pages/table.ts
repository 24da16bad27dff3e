import { html, type Html } from './html.ts'

type Content = Html | string | number | undefined | false

export interface Column<T> {
  title: string
  cell: (row: T) => Content
  /** `figure` aligns numbers, `head` names the row. */
  kind?: 'figure' | 'head'
}

/**
 * A table whose rows become cards in narrow windows, where each cell has the title of its column.
 *
 * @param caption what the table is about; screen readers announce it
 */
export function table<T> (
  { caption, columns, rows, unseen = false }: {
    caption: Content
    columns: Array<Column<T>>
    rows: T[]
    /** Whether only screen readers get the caption. */
    unseen?: boolean
  }
) {
  // ARIA roles are repeated, since a table with another display value loses its own
  return html`<table class="rows" role="table">
<caption${unseen && html` class="unseen"`}>${caption}</caption>
<thead role="rowgroup"><tr role="row">${columns.map(columnHead)}</tr></thead>
<tbody role="rowgroup">${rows.map((row) =>
    html`<tr role="row">${columns.map((column) => cell(column, row))}</tr>\n`)}</tbody>
</table>`
}

function columnHead<T> ({ title, kind }: Column<T>) {
  return html`<th role="columnheader" scope="col"${kind === 'figure' && html` class="figure"`}>${title}</th>`
}

function cell<T> ({ title, cell, kind }: Column<T>, row: T) {
  const content = cell(row)
  if (kind === 'head') return html`<th role="rowheader" scope="row" data-title="${title}">${content}</th>`
  const style = kind === 'figure' && html` class="figure"`
  return html`<td role="cell"${style} data-title="${title}">${content}</td>`
}
