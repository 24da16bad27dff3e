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
  /** The resource group and the name. */
  #account: [string, string]

  constructor ({ databaseAccounts }: CosmosDBManagementClient, resourceId: string) {
    const [, , group, name] = COSMOS_ACCOUNT.exec(resourceId)!
    this.#accounts = databaseAccounts
    this.#account = [group!, name!]
  }

  /** Keeps the options of `connection`, which may differ from those that the account lists. */
  async createValue (connection: string) {
    const kind = OTHER[await this.#kindOf(connection) ?? 'Secondary']
    const keyKind = kind.toLowerCase()
    await this.#result(this.#accounts.regenerateKey(...this.#account, { keyKind }).pollUntilDone())
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
    const isOf = (kind: Kind) => loginIn(connections[kind]).password === password
    return isOf('Primary') ? 'Primary' : isOf('Secondary') ? 'Secondary' : undefined
  }

  async #connections (): Promise<Record<Kind, string>> {
    const listed = this.#accounts.listConnectionStrings(...this.#account)
    const { connectionStrings = [] } = await this.#result(listed)
    // Those of other APIs are listed too
    const ofMongo = connectionStrings.filter((one) => one.connectionString?.startsWith('mongodb://'))
    const of = (kind: Kind) => ofMongo.find(({ keyKind }) => keyKind === kind)?.connectionString
    const [Primary, Secondary] = [of('Primary'), of('Secondary')]
    if (Primary && Secondary) return { Primary, Secondary }
    throw new RotationError(`the account ${this.#account[1]} lists no MongoDB connection strings`)
  }

  async #result<T> (response: Promise<T>) {
    try {
      return await response
    } catch (error) {
      const { name, code, statusCode } = error as Error & { code?: string, statusCode?: number }
      const reason = [statusCode, code].filter(Boolean).join(' ') || name
      // Azure's message could quote the request
      throw new RotationError(`the account ${this.#account[1]} cannot be changed (${reason})`)
    }
  }
}
