import { createHash } from 'node:crypto'

/** A UUID that is always the same for `text`. */
export function uuidOf (text: string) {
  const hex = createHash('sha256').update(text).digest('hex')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/, '$1-$2-$3-$4-$5')
}

/** A value that is recognised in a state, so that a test finds it there. */
export const secretOf = (what: string) => Buffer.from(`secret ${what}`).toString('base64')
