import { html } from '#common/pages/html.ts'
import { table, type Column } from '#common/pages/table.ts'
import { dateTime, definitions, number } from '#common/pages/text.ts'
import { CHANGES, ruleNames, type Finding, type FindingState } from '../findings.ts'
import type { Session } from '../session.ts'
import { BASE, page } from './layout.ts'
import { choice, field, idForm } from './forms.ts'
import { andMore, idLink, link, person } from './parts.ts'

export interface FindingFilter {
  state: string
  rule: string
  actor: string
  patientId: string
}

export interface FindingsView {
  filter: FindingFilter
  findings: Finding[]
  /** The path of the next page. */
  next?: string
  /** Ids of patients whose every access is a finding, or why they are not shown. */
  watched: string[] | { problem: string }
}

const stateNames: Record<FindingState, string> = {
  new: 'new', 'under-review': 'under review', closed: 'closed'
}

function stateBadge (state: FindingState) {
  const style = { new: 'bad', 'under-review': 'busy', closed: 'good' }[state]
  return html`<span class="badge ${style}">${stateNames[state] ?? state}</span>`
}

const columns: Array<Column<Finding>> = [
  { title: 'Date, UTC', kind: 'head', cell: ({ id, date }) => link('findings', id, dateTime(date)) },
  { title: 'Rule', cell: ({ rule }) => ruleNames[rule] ?? rule },
  { title: 'Who', cell: ({ actor, onBehalfOf }) => person(actor, onBehalfOf) },
  { title: 'Patient', cell: ({ patientId }) => patientId && idLink('patients', patientId) },
  { title: 'Records', kind: 'figure', cell: (finding) => number(finding.count) },
  { title: 'State', cell: ({ state }) => stateBadge(state) }
]

export function findingsTable (findings: Finding[]) {
  return table({ caption: 'Findings, newest first', unseen: true, rows: findings, columns })
}

/** The review list, with the patients that are watched. */
export function findingsPage (session: Session, { filter, findings, next, watched }: FindingsView) {
  return page(session, {
    title: 'Findings',
    section: '/findings',
    content: html`<h1>Findings</h1>
<form method="get" action="${BASE}/findings" class="filters"><div class="fields">
${choice('state', 'State', stateNames, filter.state)}${choice('rule', 'Rule', ruleNames, filter.rule)}
${field('actor', 'Actor', filter.actor)}${field('patientId', 'Patient', filter.patientId)}</div>
<div class="actions"><button class="primary">Show</button> <a href="${BASE}/findings">Reset</a></div></form>
${findings.length === 0
  ? html`<div class="empty"><p><strong>There is no such finding.</strong></p>
<p>Rules look at each record a few seconds after it is stored.</p></div>`
  : findingsTable(findings)}
${next && html`<div class="actions"><a class="button" href="${next}" rel="next">Older findings</a></div>`}
${watchedSection(watched)}`
  })
}

function watchedSection (watched: FindingsView['watched']) {
  const title = 'Watched patients'
  if ('problem' in watched) {
    return html`<section><h2>${title}</h2><p class="notice">${watched.problem}</p></section>`
  }
  return html`<section><h2>${title} <span class="count">${number(watched.length)}</span></h2>
<p class="faint">Each access to a watched patient is a finding.</p>
<ul class="watched">${watched.map((id) => html`<li>${idLink('patients', id)}
<form method="post" action="${BASE}/watched-patients"><input type="hidden" name="id" value="${id}">
<button name="watch" value="no">Stop watching<span class="unseen"> ${id}</span></button></form></li>`)}</ul>
${idForm({
  action: `${BASE}/watched-patients`,
  method: 'post',
  id: 'watched',
  label: 'Patient id',
  button: html`<button name="watch" value="yes">Watch</button>`
})}</section>`
}

/** Why a change was refused, and the reason that was typed. */
export interface Refused {
  problem: string
  reason: string
}

/** One finding, with what a reviewer can do and what was done. */
export function findingPage (session: Session, finding: Finding, etag: string, refused?: Refused) {
  const { id, rule, date, actor, onBehalfOf, patientId, records, state, history } = finding
  return page(session, {
    title: 'Finding',
    section: '/findings',
    content: html`<h1><span class="eyebrow">Finding</span> ${ruleNames[rule] ?? rule}</h1>
<p class="id whole">${id}</p>
<dl class="facts">${definitions([
      ['State', stateBadge(state)],
      ['Date, UTC', dateTime(date)],
      ['Actor', actor],
      ['On behalf of', onBehalfOf],
      ['Patient', patientId && idLink('patients', patientId)]
    ])}</dl>
${reviewForm(finding, etag, refused)}
<section><h2>Records <span class="count">${number(finding.count)}</span></h2>
<ul class="disclosed">${records.map((record) => html`<li>${idLink('records', record)}</li>`)}</ul>
${andMore(finding.count - records.length)}</section>
<section><h2>History</h2>
${history.length === 0
  ? html`<p class="faint">Nobody has reviewed it yet.</p>`
  : historyTable(history)}</section>`
  })
}

function reviewForm ({ id, state }: Finding, etag: string, refused: Refused | undefined) {
  const { problem, reason } = refused ?? {}
  const { state: next, label, needsReason } = CHANGES[state]
  return html`<form class="form" method="post" action="${BASE}/findings/${encodeURIComponent(id)}">
<input type="hidden" name="etag" value="${etag}"><input type="hidden" name="state" value="${next}">
${problem && html`<div class="notice bad" id="problem" role="alert"><p>${problem}</p></div>`}
${needsReason && html`<label for="reason">Reason
<span class="hint">10 to 500 characters, without data of patients</span>
<textarea id="reason" name="reason" rows="3" minlength="10" maxlength="500" required
${problem && html` aria-describedby="problem"`}>${reason}</textarea></label>`}
<div class="actions"><button class="primary">${label}</button></div></form>`
}

function historyTable (history: Finding['history']) {
  return table({
    caption: 'What was done, newest first',
    unseen: true,
    rows: history.toReversed(),
    columns: [
      { title: 'Date, UTC', kind: 'head', cell: ({ date }) => dateTime(date) },
      { title: 'State', cell: ({ state }) => stateBadge(state) },
      { title: 'By', cell: ({ by, onBehalfOf }) => person(by, onBehalfOf) },
      { title: 'Reason', cell: ({ reason }) => reason },
      { title: 'Record', cell: ({ auditId }) => auditId && idLink('records', auditId, 'record') }
    ]
  })
}
