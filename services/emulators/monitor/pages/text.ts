import type { Item } from '../envelope.ts'
import { html, type Html } from '../html.ts'

// In the order of a request's way through them, each with its own colour
const KNOWN_ROLES = ['gateway', 'patient', 'audit']
const COLOURS = 6

/** The class that gives a role its colour. */
export function colourOf (role: string) {
  const known = KNOWN_ROLES.indexOf(role)
  if (known !== -1) return `role-${known}`
  const sum = [...role].reduce((total, character) => total + character.codePointAt(0)!, 0)
  return `role-${KNOWN_ROLES.length + sum % (COLOURS - KNOWN_ROLES.length)}`
}

/** Compares roles by their order on the way of a request. */
export function byRole (a: { role: string }, b: { role: string }) {
  const place = (role: string) => KNOWN_ROLES.includes(role) ? KNOWN_ROLES.indexOf(role) : KNOWN_ROLES.length
  return place(a.role) - place(b.role) || a.role.localeCompare(b.role)
}

export function roleTag (role: string) {
  return html`<span class="role ${colourOf(role)}">${role}</span>`
}

/** The name of an item for display. */
export function nameOf ({ name, kind }: Item) {
  return name || `unnamed ${kind}`
}

/** The items of a definition list; those without a value are left out. */
export function definitions (entries: Array<[name: string, value: Html | string | undefined]>) {
  return entries.map(([name, value]) => value && html`<div><dt>${name}</dt><dd>${value}</dd></div>`)
}

/** A name that may break after each slash of its path. */
export function breakable (name: string) {
  return name.split('/').map((part, i) => html`${i > 0 && html`/<wbr>`}${part}`)
}

/** A duration with about three digits, or with `decimals` of a millisecond. */
export function ms (duration: number | undefined, decimals?: number) {
  if (duration === undefined) return '–'
  if (duration >= 10_000) return `${number(duration / 1_000, duration >= 100_000 ? 0 : 1)} s`
  if (duration >= 1_000) return `${number(duration / 1_000, 2)} s`
  return `${number(duration, decimals ?? (duration >= 100 ? 0 : duration >= 10 ? 1 : 2))} ms`
}

export function number (value: number, decimals = 0) {
  return value.toLocaleString('en', { minimumFractionDigits: decimals, maximumFractionDigits: decimals })
}

export function percent (part: number, whole: number) {
  if (whole === 0) return '–'
  const share = 100 * part / whole
  return `${number(share, share > 0 && share < 10 ? 1 : 0)} %`
}

export function time (at: number | Date) {
  const iso = new Date(at).toISOString()
  return html`<time datetime="${iso}" title="${iso}">${iso.slice(11, 23)}</time>`
}

export function count (many: number, one: string, more = `${one}s`) {
  return `${number(many)} ${many === 1 ? one : more}`
}
