import { createHash } from 'node:crypto'

export const SUBSCRIPTION = '11111111-1111-1111-1111-111111111111'
export const TENANT = '22222222-2222-2222-2222-222222222222'
export const DEPLOYER = '33333333-3333-3333-3333-333333333333'
export const CLIENT = '44444444-4444-4444-4444-444444444444'

/** A UUID that is always the same for `text`. */
export function uuidOf (text: string) {
  const hex = createHash('sha256').update(text).digest('hex')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*/, '$1-$2-$3-$4-$5')
}

const issued = new Map<string, string>()

/** A secret of the resource `id`, always the same. `kind` says what it is, such as "key of a workspace". */
export function secretOf (kind: string, id: string) {
  const secret = createHash('sha256').update(`${kind} ${id}`).digest('base64')
  issued.set(secret, kind)
  return secret
}

/** The kinds of secrets that are in `text`, such as a state. */
export function secretsIn (text: string) {
  const isIn = (secret: string) => text.includes(secret) || text.includes(encodeURIComponent(secret))
  const found = [...issued].filter(([secret]) => isIn(secret))
  return [...new Set(found.map(([, kind]) => kind))].sort()
}
