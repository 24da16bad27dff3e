import type { CosmosDBManagementClient } from '@azure/arm-cosmosdb'
import { withCredentials } from './database-users.ts'
import { RotationError, type Renewal } from './renewal.ts'

/** The resource id of an account: its subscription, resource group and name. */
export const COSMOS_ACCOUNT = /^\/subscriptions\/([0-9a-f-]{36})\/resourceGroups\/([^/]+)\/providers\/Microsoft\.DocumentDB\/databaseAccounts\/([^/]+)$/

type Kind = 'Primary' | 'Secondary'
const OTHER: Record<Kind, Kind> = { Primary: 'Secondary', Secondary: 'Primary' }

/**
 * The primary and the secondary key of a Cosmos DB account, in force by turns: while one is used, the other is made
 * anew by the account itself.
 * Source: https://learn.microsoft.com/azure/cosmos-db/database-security#key-rotation
 */
export class CosmosKeys implements Renewal {
  #accounts: CosmosDBManagementClient['databaseAccounts']
  #group: string
  #account: string

  constructor (client: CosmosDBManagementClient, resourceId: string) {
    const [, , group, account] = COSMOS_ACCOUNT.exec(resourceId)!
    this.#accounts = client.databaseAccounts
    this.#group = group!
    this.#account = account!
  }

  /** With the options of `connection`, which may be others than the account tells. */
  async renew (connection: string) {
    const kind = OTHER[await this.#kindOf(connection) ?? 'Secondary']
    await this.#told(this.#accounts.regenerateKey(this.#group, this.#account, { keyKind: kind.toLowerCase() }).pollUntilDone())
    const { username, password } = credentialsOf((await this.#connections())[kind])
    return withCredentials(connection, username, password)
  }

  // The account makes its keys, so a version that holds none of them is the one to change. A key just made is nobody else's.
  async apply (connection: string) {
    const known = await this.#kindOf(connection) ? connection : (await this.#connections()).Primary
    const { username, password } = credentialsOf(known)
    return withCredentials(known, username, password)
  }

  async endOthers (connection: string) {
    await this.renew(connection)
  }

  async #kindOf (connection: string) {
    const connections = await this.#connections()
    const { password } = credentialsOf(connection)
    return (['Primary', 'Secondary'] as const).find((kind) => credentialsOf(connections[kind]).password === password)
  }

  async #connections (): Promise<Record<Kind, string>> {
    const { connectionStrings = [] } = await this.#told(this.#accounts.listConnectionStrings(this.#group, this.#account))
    // A MongoDB account lists those of its other APIs too
    const of = (kind: Kind) => connectionStrings.find(({ keyKind, connectionString }) => keyKind === kind && connectionString?.startsWith('mongodb://'))?.connectionString
    const [Primary, Secondary] = [of('Primary'), of('Secondary')]
    if (!Primary || !Secondary) throw new RotationError(`the account ${this.#account} does not tell its connection strings`)
    return { Primary, Secondary }
  }

  async #told<T> (answer: Promise<T>) {
    try {
      return await answer
    } catch (error) {
      const { name, code, statusCode } = error as Error & { code?: string, statusCode?: number }
      // Azure's own message could quote what it was asked
      throw new RotationError(`the account ${this.#account} cannot be changed (${[statusCode, code].filter(Boolean).join(' ') || name})`)
    }
  }
}

// Not by the driver, which refuses the slash that Azure leaves in a key
function credentialsOf (connection: string) {
  const [, username = '', password = ''] = /^mongodb:\/\/([^:]*):([^@]*)@/.exec(connection) ?? []
  return { username: decodeURIComponent(username), password: decodeURIComponent(password) }
}
