import { html, type Html } from '#common/pages/html.ts'
import { count, dateTime, number } from '#common/pages/text.ts'
import type { Column } from '#common/pages/table.ts'
import { purposeName, resultBadge, what } from '../names.ts'
import type { AuditRecord } from '../timeline.ts'
import { BASE } from './layout.ts'

export function link (path: string, id: string, text: Html | string) {
  return html`<a href="${BASE}/${path}/${encodeURIComponent(id)}">${text}</a>`
}

/** An id, as a link to the page `path` of the auditor's page. */
export function idLink (path: string, id: string, text: string = id) {
  return html`<a class="id" href="${BASE}/${path}/${encodeURIComponent(id)}">${text}</a>`
}

/** The patient that a record is about, where it is about one. */
export function patientOf ({ resource }: AuditRecord) {
  return resource.patientId ?? (resource.type === 'patient' ? resource.id : undefined)
}

export function who ({ actor, onBehalfOf, clientAddress }: AuditRecord) {
  return html`${person(actor, onBehalfOf)}${clientAddress && html`<br>
<span class="faint id">${clientAddress}</span>`}`
}

/** A system, and the person for whom it called. */
export function person (actor: string | undefined, onBehalfOf: string | undefined) {
  const system = actor ?? html`<span class="faint">no actor</span>`
  return html`${system}${onBehalfOf && html`<br><strong>${onBehalfOf}</strong>`}`
}

export function why ({ purpose, reason }: AuditRecord) {
  if (purpose === undefined) return undefined
  return html`<abbr title="${purposeName(purpose)}">${purpose}</abbr>${reason && html`<br>
<span class="faint">${reason}</span>`}`
}

/** The columns that say when, who, what and why. */
export const recordColumns = {
  when: {
    title: 'Date, UTC',
    kind: 'head',
    cell: ({ createdDate, id }: AuditRecord) => link('records', id, dateTime(createdDate))
  },
  who: { title: 'Who', cell: who },
  what: { title: 'What', cell: (record: AuditRecord) => html`${what(record)}<br>${resultBadge(record)}` },
  why: { title: 'Why', cell: why },
  patient: {
    title: 'Patient',
    cell: (record: AuditRecord) => {
      const id = patientOf(record)
      if (id !== undefined) return idLink('patients', id)
      const many = record.disclosed?.length ?? 0
      return many > 0 && html`<span class="faint">${number(many)} disclosed</span>`
    }
  }
} satisfies Record<string, Column<AuditRecord>>

/** That a list is cut, if `hidden` is positive. */
export function andMore (hidden: number) {
  return hidden > 0 && html`<p class="faint">and ${count(hidden, 'more', 'more')}</p>`
}

/** A link that downloads with progress, where the script runs; `total` is the number of records, if known. */
export function download (href: string, text: string, total?: number) {
  const known = total !== undefined && html` data-total="${total}"`
  return html`<a class="button" href="${href}" download data-download${known}>${text}</a>`
}

/** Where the progress of a download is shown. */
export const progress = html`<div class="download" id="download" hidden>
<progress id="download-bar" aria-labelledby="download-state"></progress>
<span id="download-state" role="status"></span>
<button type="button" id="download-cancel">Cancel</button></div>`
