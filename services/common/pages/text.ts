import { html, type Html } from './html.ts'

/** The items of a definition list; those without a value are left out. */
export function definitions (entries: Array<[name: string, value: Html | string | undefined]>) {
  return entries.map(([name, value]) => value && html`<div><dt>${name}</dt><dd>${value}</dd></div>`)
}

/** A name that may break after each slash of its path. */
export function breakable (name: string) {
  return name.split('/').map((part, i) => html`${i > 0 && html`/<wbr>`}${part}`)
}

/** A duration in ms with about three digits, or with `decimals` of a millisecond. */
export function ms (duration: number | undefined, decimals?: number) {
  if (duration === undefined) return '–'
  if (duration >= 10_000) return `${number(duration / 1_000, duration >= 100_000 ? 0 : 1)} s`
  if (duration >= 1_000) return `${number(duration / 1_000, 2)} s`
  return `${number(duration, decimals ?? (duration >= 100 ? 0 : duration >= 10 ? 1 : 2))} ms`
}

// Making one takes longer than formatting a hundred numbers
const formats = new Map<number, Intl.NumberFormat>()

export function number (value: number, decimals = 0) {
  return formats.getOrInsertComputed(decimals, () => {
    return new Intl.NumberFormat('en', { minimumFractionDigits: decimals, maximumFractionDigits: decimals })
  }).format(value)
}

export function percent (part: number, whole: number) {
  if (whole === 0) return '–'
  const share = 100 * part / whole
  return `${number(share, share > 0 && share < 10 ? 1 : 0)} %`
}

/** The time of day in UTC, to the millisecond. */
export function time (at: number | Date) {
  const iso = new Date(at).toISOString()
  return html`<time datetime="${iso}" title="${iso}">${iso.slice(11, 23)}</time>`
}

export function count (many: number, one: string, more = `${one}s`) {
  return `${number(many)} ${many === 1 ? one : more}`
}

/** The date and the time of day in UTC, to the second. */
export function dateTime (at: number | Date | string) {
  const iso = new Date(at).toISOString()
  return html`<time datetime="${iso}" title="${iso}">${iso.slice(0, 10)} ${iso.slice(11, 19)}</time>`
}
