import { hash } from 'node:crypto'

/** A UUID (version 8) that follows from a text, so that each process makes the same. */
export function derivedUuid (text: string) {
  const hex = hash('sha256', text)
  const variant = (8 + parseInt(hex[16]!, 16) % 4).toString(16)
  const parts = [hex.slice(0, 8), hex.slice(8, 12), `8${hex.slice(13, 16)}`, variant + hex.slice(17, 20)]
  return [...parts, hex.slice(20, 32)].join('-')
}
