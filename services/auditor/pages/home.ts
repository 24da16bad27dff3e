import { html, type Html } from '#common/pages/html.ts'
import { count, dateTime } from '#common/pages/text.ts'
import type { Finding } from '../findings.ts'
import type { Session } from '../session.ts'
import { findingsTable } from './findings.ts'
import { idForm } from './forms.ts'
import { isBehind, witnessedAt, type LogState } from './integrity.ts'
import { BASE, page } from './layout.ts'

export interface HomeView {
  /** The newest findings that nobody has reviewed, or what to do about their absence. */
  findings: Finding[] | { problem: string }
  log: LogState | { problem: string }
}

/** A search for a patient, the newest findings, and the state of the log. */
export function homePage (session: Session, { findings, log }: HomeView) {
  return page(session, {
    title: 'Overview',
    section: '',
    content: html`<h1>Audit register</h1>
${idForm({
      action: `${BASE}/patients`,
      method: 'get',
      id: 'patient',
      label: 'Who opened this record?',
      hint: 'The id of a patient, as clients of the API have it',
      button: html`<button class="primary">Open</button>`
    })}
<section><h2>New findings</h2>
${'problem' in findings ? notice(findings) : newFindings(findings)}</section>
<section><h2>State of the log</h2>
${'problem' in log ? notice(log) : logState(log)}</section>`
  })
}

const notice = ({ problem }: { problem: string }) => html`<p class="notice">${problem}</p>`

function newFindings (findings: Finding[]) {
  const all = html`<a href="${BASE}/findings">All findings</a>`
  if (findings.length === 0) return html`<p class="faint">None. ${all}</p>`
  return html`${findingsTable(findings)}
<div class="actions"><a class="button" href="${BASE}/findings?state=new">All new findings</a></div>`
}

function logState ({ checkpoint, witnessed }: LogState): Html {
  if (!checkpoint) return html`<p class="faint">No checkpoint yet.</p>`
  const state = isBehind(checkpoint, witnessed)
    ? html`<span class="badge bad">not witnessed</span>`
    : html`<span class="badge good">witnessed</span>`
  const last = witnessed && html` by ${witnessed.cosignatures.map(({ name }) => name).join(', ')}, last at
${dateTime(witnessedAt(witnessed))} UTC`
  return html`<p>${count(checkpoint.size, 'record')} in the log, ${state}${last}.
<a href="${BASE}/integrity">Integrity</a></p>`
}
