import type { CosmosDBManagementClient } from '@azure/arm-cosmosdb'
import { loginIn, withCredentials } from './connection-string.ts'
import { RotationError, type RotationStrategy } from './strategy.ts'

/** The resource id of an account: its subscription, resource group and name. */
export const COSMOS_ACCOUNT = new RegExp([
  '^/subscriptions/([0-9a-f-]{36})/resourceGroups/([^/]+)',
  '/providers/Microsoft\\.DocumentDB/databaseAccounts/([^/]+)$'
].join(''))

type Kind = 'Primary' | 'Secondary'
const OTHER: Record<Kind, Kind> = { Primary: 'Secondary', Secondary: 'Primary' }

/**
 * The primary and the secondary key of a Cosmos DB account: its service alternates between them, and a
 * rotation has the account regenerate the unused one.
 * Source: https://learn.microsoft.com/azure/cosmos-db/database-security#key-rotation
 */
export class CosmosKeys implements RotationStrategy {
  #accounts: CosmosDBManagementClient['databaseAccounts']
  #group: string
  #account: string

  constructor (client: CosmosDBManagementClient, resourceId: string) {
    const [, , group, account] = COSMOS_ACCOUNT.exec(resourceId)!
    this.#accounts = client.databaseAccounts
    this.#group = group!
    this.#account = account!
  }

  /** Keeps the options of `connection`, which may differ from those that the account lists. */
  async createValue (connection: string) {
    const kind = OTHER[await this.#kindOf(connection) ?? 'Secondary']
    const parameters = { keyKind: kind.toLowerCase() }
    await this.#request(this.#accounts.regenerateKey(this.#group, this.#account, parameters).pollUntilDone())
    const { username, password } = loginIn((await this.#connections())[kind])
    return withCredentials(connection, username, password)
  }

  // The account makes its keys, so a version without one of them is replaced
  async activate (connection: string) {
    const valid = await this.#kindOf(connection) ? connection : (await this.#connections()).Primary
    const { username, password } = loginIn(valid)
    return withCredentials(valid, username, password)
  }

  async revokeOthers (connection: string) {
    await this.createValue(connection)
  }

  async #kindOf (connection: string) {
    const connections = await this.#connections()
    const { password } = loginIn(connection)
    const kinds: Kind[] = ['Primary', 'Secondary']
    return kinds.find((kind) => loginIn(connections[kind]).password === password)
  }

  async #connections (): Promise<Record<Kind, string>> {
    const { connectionStrings = [] } =
      await this.#request(this.#accounts.listConnectionStrings(this.#group, this.#account))
    // Those of other APIs are listed too
    const of = (kind: Kind) => connectionStrings.find(({ keyKind, connectionString }) =>
      keyKind === kind && connectionString?.startsWith('mongodb://'))?.connectionString
    const [Primary, Secondary] = [of('Primary'), of('Secondary')]
    if (Primary && Secondary) return { Primary, Secondary }
    throw new RotationError(`the account ${this.#account} lists no MongoDB connection strings`)
  }

  async #request<T> (response: Promise<T>) {
    try {
      return await response
    } catch (error) {
      const { name, code, statusCode } = error as Error & { code?: string, statusCode?: number }
      const reason = [statusCode, code].filter(Boolean).join(' ') || name
      // Azure's message could quote the request
      throw new RotationError(`the account ${this.#account} cannot be changed (${reason})`)
    }
  }
}
