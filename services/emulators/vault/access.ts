import { readFileSync } from 'node:fs'
import { Type, type Static, type TSchema } from 'typebox'
import table from '../../access.json' with { type: 'json' }
import { SettingsError } from '#common/config.ts'
import { violations } from '#common/http/validation.ts'

export const SECRET_NAME = /^[0-9A-Za-z-]{1,127}$/

const Secrets = Type.Array(Type.String({ pattern: SECRET_NAME.source }), { uniqueItems: true })
const Assignments = Type.Record(Type.String({ pattern: '^[a-z]+$' }), Type.Object({
  clientId: Type.String({ pattern: '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' }),
  /** Has the role Key Vault Secrets User on each of these. */
  read: Secrets,
  /** Has the role Key Vault Secrets Officer on each of these. */
  manage: Secrets,
  /** May list the names of the whole vault. */
  list: Type.Optional(Type.Boolean())
}, { additionalProperties: false }), { additionalProperties: false })

/** What a role allows, below Microsoft.KeyVault/vaults/secrets. */
export type DataAction = 'getSecret/action' | 'readMetadata/action' | 'setSecret/action' | 'update/action' | 'delete' | 'recover/action' | 'purge/action'

// The data actions of Key Vault Secrets User; Key Vault Secrets Officer has them all
const READ: DataAction[] = ['getSecret/action', 'readMetadata/action']

export interface Identity {
  name: string
  clientId: string
  read: Set<string>
  manage: Set<string>
  list: boolean
}

/**
 * Who may do what with which secret.
 *
 * @throws {SettingsError}
 */
export function loadAccess (file?: string): Identity[] {
  const assignments: Static<typeof Assignments> = file === undefined ? table : readJson(file, Assignments)
  const identities = Object.entries(assignments).map(([name, { clientId, read, manage, list = false }]) =>
    ({ name, clientId, read: new Set(read), manage: new Set(manage), list }))
  if (new Set(identities.map(({ clientId }) => clientId)).size < identities.length) throw new SettingsError(`${file ?? 'access.json'}: a clientId is given twice`)
  return identities
}

/** Whether `identity` may take `action` on one secret, or without one on the whole vault. */
export function allows ({ read, manage, list }: Identity, action: DataAction, secret?: string) {
  if (secret === undefined) return list && action === 'readMetadata/action'
  return manage.has(secret) || (read.has(secret) && READ.includes(action))
}

/** @throws {SettingsError} that tells what is wrong with the file and no value of it */
export function readJson<T extends TSchema> (file: string | URL, schema: T): Static<T> {
  let content: unknown
  try {
    content = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new SettingsError(`${file} ${code ? `cannot be read (${code})` : 'is not JSON'}`)
  }
  const [problem] = violations(schema, content)
  if (problem) throw new SettingsError(`${file}: ${problem.pointer} ${problem.message}`)
  return content as Static<T>
}
