import { html, type Html } from '#common/pages/html.ts'
import { table } from '#common/pages/table.ts'
import { dateTime, number } from '#common/pages/text.ts'
import { purposesOfUse } from '#common/purpose-of-use.ts'
import { barPlot, sharePlot } from '../plots.ts'
import type { FieldProblems, RecordFilter, Statistics } from '../filters.ts'
import { operations } from '../names.ts'
import type { Session } from '../session.ts'
import type { AuditRecord } from '../timeline.ts'
import { choice, dateField, field, sameNames, suggestion } from './forms.ts'
import { BASE, page } from './layout.ts'
import { download, progress, recordColumns } from './parts.ts'

const TYPES = ['patient', 'test', 'audit-record', 'host-key', 'caller-address']

export interface RecordsView {
  filter: RecordFilter
  records: AuditRecord[]
  /** The path of the next page. */
  next?: string
  statistics: Statistics | { problem: string }
}

/** The search again, beside each refused field what it must be. */
export function refusedSearchPage (session: Session, filter: RecordFilter, problems: FieldProblems) {
  return page(session, {
    title: 'Records', section: '/records', content: html`<h1>Records</h1>\n${form(filter, problems)}`
  })
}

/** A search with every filter, its plots and its table. */
export function recordsPage (session: Session, { filter, records, next, statistics }: RecordsView) {
  const total = 'problem' in statistics || !isCounted(filter)
    ? undefined
    : statistics.rows.reduce((sum, { count }) => sum + count, 0)
  return page(session, {
    title: 'Records',
    section: '/records',
    content: html`<h1>Records</h1>
${form(filter)}
${plots(filter, statistics)}
<div class="actions">
${download(pathOf('/records.csv', filter), 'CSV', total)}
${download(pathOf('/records.ndjson', filter), 'NDJSON', total)}
${download(pathOf('/evidence', filter), 'Evidence pack')}</div>
${progress}
<section><h2>Newest first${total !== undefined && html` <span class="count">${number(total)}</span>`}</h2>
${records.length === 0
  ? html`<div class="empty"><p><strong>No record meets these filters.</strong></p></div>`
  : table({ caption: 'Records that meet the filters', unseen: true, rows: records, columns })}
${next && html`<div class="actions">
<a class="button" href="${next}" rel="next">Older records</a></div>`}</section>`
  })
}

const { when, who, what, patient, why } = recordColumns
const columns = [when, who, what, patient, why]

function form (filter: RecordFilter, problems: FieldProblems = {}) {
  const { purpose, type, onBehalfOf, operationId, clientAddress } = filter
  const more = [purpose, type, onBehalfOf, operationId, clientAddress].some(Boolean)
  const of = (name: string) => ({ problem: problems[name] })
  return html`<form method="get" action="${BASE}/records" class="filters"><div class="fields">
${dateField('from', 'From', filter.from, of('from'))}${dateField('to', 'To', filter.to, of('to'))}
${field('actor', 'Actor', filter.actor, of('actor'))}
${suggestion('operation', 'Operation', operations, filter.operation, of('operation'))}
${choice('outcome', 'Outcome', sameNames(['success', 'failure']), filter.outcome)}
${field('id', 'Patient, test result or record', filter.id, of('id'))}</div>
<details${more && html` open`}><summary>More filters</summary><div class="fields">
${field('onBehalfOf', 'On behalf of', onBehalfOf, { maxlength: 128, ...of('onBehalfOf') })}
${choice('purpose', 'Purpose', sameNames(purposesOfUse), purpose)}
${suggestion('type', 'Type', TYPES, type, of('type'))}
${field('operationId', 'Operation id', operationId, { maxlength: 64, ...of('operationId') })}
${field('clientAddress', 'Client address', clientAddress, of('clientAddress'))}</div></details>
<div class="actions"><button class="primary">Search</button> <a href="${BASE}/records">Reset</a></div></form>`
}

/** The path of a question with these filters. */
export function pathOf (path: string, filter: RecordFilter) {
  const parameters = Object.entries(filter).filter(([, value]) => value)
  return `${BASE}${path}?${new URLSearchParams(parameters as Array<[string, string]>)}`
}

/** Whether the statistics count exactly the records that meet the filters. */
function isCounted ({ onBehalfOf, purpose, id, operationId, clientAddress }: RecordFilter) {
  return ![onBehalfOf, purpose, id, operationId, clientAddress].some(Boolean)
}

function plots (filter: RecordFilter, statistics: RecordsView['statistics']): Html {
  if ('problem' in statistics) return html`<p class="notice">${statistics.problem}</p>`
  const { rows, by, until } = statistics
  const shares = (name: 'actor' | 'operation' | 'outcome') => {
    const groups = Map.groupBy(rows, (row) => row[name] ?? '')
    return [...groups].map(([value, found]) => ({
      name: value,
      count: found.reduce((sum, { count }) => sum + count, 0),
      ...(value && { href: pathOf('/records', { ...filter, [name]: value }) })
    }))
  }
  return html`<section class="plots" aria-label="Plots">
${barPlot(`Records by ${by}`, 'records', ['other', 'failed'], barsOf(statistics))}
<div class="columns">${sharePlot('Actor', shares('actor'))}${sharePlot('Operation', shares('operation'))}
${sharePlot('Outcome', shares('outcome'), 'not stated')}</div>
<p class="faint small">Outcome not stated: reads and questions, which have no outcome of their own, since they
are recorded before they are answered, and attempts to write, whose outcome is a record of its own.</p>
<p class="faint small">Counted up to ${dateTime(until)} UTC.${!isCounted(filter) && ` The plots count by
actor, type, operation and outcome only: the other filters do not change them.`}</p>
</section>`
}

function barsOf ({ rows, by, from, to }: Statistics) {
  const step = by === 'day' ? 86_400_000 : 3_600_000
  const groups = Map.groupBy(rows, ({ start }) => Date.parse(start))
  const first = Math.floor(Date.parse(from) / step) * step
  const length = Math.min(800, Math.ceil((Date.parse(to) - first) / step))
  return Array.from({ length }, (_, i) => {
    const start = first + i * step
    const sum = (isFailure: boolean) => (groups.get(start) ?? [])
      .filter(({ outcome }) => (outcome === 'failure') === isFailure)
      .reduce((total, { count }) => total + count, 0)
    const iso = new Date(start).toISOString()
    const label = by === 'day' ? iso.slice(0, 10) : iso.slice(0, 16).replace('T', ' ')
    return { label, values: [sum(false), sum(true)] }
  })
}
