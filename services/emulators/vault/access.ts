import table from '../../access.json' with { type: 'json' }

/** The data actions of a role, below Microsoft.KeyVault/vaults/secrets. */
export type DataAction = 'getSecret/action' | 'readMetadata/action' | 'setSecret/action' | 'update/action' |
  'delete' | 'recover/action' | 'purge/action'

// The data actions of Key Vault Secrets User; Key Vault Secrets Officer has all
const READ: DataAction[] = ['getSecret/action', 'readMetadata/action']

interface Assignment {
  clientId: string
  /** The secrets on which it has the role Key Vault Secrets User. */
  read: string[]
  /** The secrets on which it has the role Key Vault Secrets Officer. */
  manage: string[]
  /** Whether it may list the names of the whole vault. */
  list?: boolean
}

export interface Identity extends Assignment {
  name: string
}

const assignments: Record<string, Assignment> = table

/** The identities, and what each may do with which secret. */
export const identities: Identity[] = Object.entries(assignments).map(([name, one]) => ({ name, ...one }))

/** Whether `identity` may do `action` with one secret, or without one with the whole vault. */
export function allows ({ read, manage, list = false }: Identity, action: DataAction, secret?: string) {
  if (secret === undefined) return list && action === 'readMetadata/action'
  return manage.includes(secret) || (read.includes(secret) && READ.includes(action))
}
