import { html } from '#common/pages/html.ts'
import { table, type Column } from '#common/pages/table.ts'
import { count, dateTime, definitions, number } from '#common/pages/text.ts'
import { barPlot } from '../plots.ts'
import type { Session } from '../session.ts'
import type { Access, AuditRecord, Timeline } from '../timeline.ts'
import type { FieldProblems } from '../filters.ts'
import { dateField, field } from './forms.ts'
import { BASE, page } from './layout.ts'
import { download, idLink, progress, recordColumns } from './parts.ts'
import { what } from '../names.ts'

const DAY_MS = 24 * 60 * 60 * 1_000
const UNITS: Array<[ms: number, name: string]> = [[DAY_MS, 'day'], [60 * 60_000, 'hour'], [60_000, 'minute']]
const SERIES = ['unexplained', 'explained']
/** More days are shown as months. */
const MAX_DAYS = 92

interface PatientFilter {
  patientId: string
  /** As typed where it is refused. */
  days: number | string
  /** As the form has them; empty for all. */
  from: string
  to: string
}

export interface PatientView extends PatientFilter {
  days: number
  timeline: Timeline
  /** Whether there are older records that were not read. */
  cut: boolean
}

/** The filters again, beside each refused field what it must be. */
export function refusedPatientPage (session: Session, typed: PatientFilter, problems: FieldProblems) {
  return page(session, {
    title: 'Who opened this record', content: html`${heading(typed)}\n${filters(typed, problems)}`
  })
}

/** Who opened the record of one patient, unexplained accesses first. */
export function patientPage (session: Session, view: PatientView) {
  const { patientId, timeline: { unexplained, explained, questions }, cut } = view
  const accesses = [...unexplained, ...explained]
  const total = accesses.length + questions.length
  const own = `${BASE}/patients/${patientId}`
  return page(session, {
    title: 'Who opened this record',
    content: html`${heading(view)}
${facts(view)}
${filters(view)}
${cut && html`<div class="notice"><p>Only the newest ${number(total)} records are shown. Choose a time for
older ones, or download all of them.</p></div>`}
${accesses.length > 0 && barPlot('Accesses by time', 'accesses', SERIES, barsOf(unexplained, explained))}
<div class="actions noprint">
${download(`${own}/accounting`, 'Accounting of disclosures (six years)')}
${download(`${own}/access-log.csv`, 'CSV', cut ? undefined : total)}
${download(`${own}/access-log.ndjson`, 'NDJSON', cut ? undefined : total)}
<button type="button" id="print" hidden>Print</button></div>
${progress}
${section('Unexplained', unexplained, accessColumns,
      `Nobody who did this changed anything of the patient within ${count(view.days, 'day')}.`)}
${section('Explained', explained, explainedColumns, 'The same person created or changed something.')}
${section('Asked by auditors', questions, columns, 'Questions to the register about this patient.')}`
  })
}

function heading ({ patientId }: PatientFilter) {
  return html`<h1><span class="eyebrow">Who opened this record</span>
<span class="id">${patientId}</span></h1>`
}

function facts ({ timeline: { unexplained, explained } }: PatientView) {
  const records = [...unexplained, ...explained].map(({ record }) => record)
  const dates = records.map(({ createdDate }) => createdDate).sort()
  const people = new Set(records.map(({ actor, onBehalfOf }) => onBehalfOf ?? actor))
  return html`<dl class="facts">${definitions([
    ['Unexplained', marked(unexplained.length)],
    ['Explained', number(explained.length)],
    ['People and systems', number(people.size)],
    ['First, UTC', dates[0] && dateTime(dates[0])],
    ['Last, UTC', dates[0] && dateTime(dates.at(-1)!)]
  ])}</dl>`
}

function marked (many: number) {
  return many > 0 ? html`<span class="bad">${number(many)}</span>` : html`0`
}

function filters ({ patientId, days, from, to }: PatientFilter, problems?: FieldProblems) {
  const of = (name: string) => ({ problem: problems?.[name] })
  const opened = problems && html` open`
  return html`<details class="explanation noprint"${opened}>
<summary>What “explained” means, and filters</summary>
<p>An access is explained where the same person created or changed something of this patient within the
chosen number of days before or after it: the person on whose behalf both were done, or the same system where
one of them names nobody. Deletions and attempts that failed explain nothing. An explained access may still be
wrong, and an unexplained one may be right: a second opinion, a ward round, a bill. It is where to look
first.</p>
<form method="get" action="${BASE}/patients/${patientId}"><div class="fields">
${field('days', 'Days', days, { type: 'number', min: 1, max: 366, maxlength: undefined, ...of('days') })}
${dateField('from', 'From', from, of('from'))}${dateField('to', 'To', to, of('to'))}</div>
<div class="actions"><button>Show</button></div></form></details>`
}

function section<T> (title: string, rows: T[], columns: Array<Column<T>>, caption: string) {
  return html`<section><h2>${title} <span class="count">${number(rows.length)}</span></h2>
${rows.length === 0 ? html`<p class="faint">None.</p>` : table({ caption, rows, columns })}</section>`
}

const columns: Array<Column<AuditRecord>> =
  [recordColumns.when, recordColumns.who, recordColumns.what, recordColumns.why]
const accessColumns = columns.map(({ cell, ...rest }): Column<Access> => {
  return { ...rest, cell: ({ record }) => cell(record) }
})
const explainedColumns: Array<Column<Access>> = [
  ...accessColumns,
  {
    title: 'Explained by',
    cell: ({ record, explainedBy }: Access) => explainedBy === record
      ? 'itself'
      : explainedBy && html`${idLink('records', explainedBy.id, what(explainedBy))}<br>
<span class="faint">${distance(record, explainedBy)}</span>`
  }
]

/** How long before or after the access the change was made. */
function distance (access: AuditRecord, change: AuditRecord) {
  const ms = Date.parse(change.createdDate) - Date.parse(access.createdDate)
  const size = Math.abs(ms)
  const [unit, name] = UNITS.find(([length]) => size >= length) ?? UNITS.at(-1)!
  return `${count(Math.round(size / unit), name)} ${ms < 0 ? 'before' : 'after'}`
}

/** Accesses by day, or by month if there are many days. */
function barsOf (...series: Access[][]) {
  const times = series.flat().map(({ record }) => Date.parse(record.createdDate))
  const [first, last] = [Math.min(...times), Math.max(...times)]
  const byMonth = last - first > MAX_DAYS * DAY_MS
  const length = byMonth ? 7 : 10
  const periodOf = ({ record }: Access) => record.createdDate.slice(0, length)
  const counts = series.map((accesses) => Map.groupBy(accesses, periodOf))
  return labels(first, last, byMonth).map((label) => {
    return { label, values: counts.map((groups) => groups.get(label)?.length ?? 0) }
  })
}

function labels (first: number, last: number, byMonth: boolean) {
  const found: string[] = []
  const date = new Date(first)
  date.setUTCHours(0, 0, 0, 0)
  if (byMonth) date.setUTCDate(1)
  while (date.getTime() <= last) {
    found.push(date.toISOString().slice(0, byMonth ? 7 : 10))
    if (byMonth) date.setUTCMonth(date.getUTCMonth() + 1)
    else date.setUTCDate(date.getUTCDate() + 1)
  }
  return found
}
