import { html } from '#common/pages/html.ts'
import type { Item } from '../envelope.ts'

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
