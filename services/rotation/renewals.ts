import type { SecretClient } from '@azure/keyvault-secrets'
import { MongoClient } from 'mongodb'
import { azureCredential } from '#common/secrets/azure-credential.ts'
import { isMissing } from '#common/secrets/key-vault.ts'
import type { Config } from './config.ts'
import { COSMOS_ACCOUNT, CosmosKeys } from './cosmos-keys.ts'
import { DatabaseUsers } from './database-users.ts'
import { RotationError, randomKey, subscriptionKeys, type Renewal } from './renewal.ts'

const KEYS: Record<string, Renewal> = {
  'patient-host-key': randomKey,
  'audit-host-key': randomKey,
  'patient-data-key': randomKey,
  'gateway-subscription-keys': subscriptionKeys
}

/** The connection strings, and whose database each is of. */
const CONNECTIONS: Record<string, 'patient' | 'audit'> = {
  'patient-db-connection': 'patient',
  'audit-db-connection': 'audit',
  'audit-db-viewer-connection': 'audit'
}

export const secretNames = [...Object.keys(KEYS), ...Object.keys(CONNECTIONS)]

/** What `--all` rotates: what every deployment has, and no client has to be told. */
export const allNames = ['patient-host-key', 'audit-host-key', 'patient-data-key', 'patient-db-connection', 'audit-db-connection']

const CONNECT_MS = 5_000

/** How each secret is renewed here: keys at random, connection strings by their Cosmos DB account or their MongoDB server. */
export class Renewals {
  #vault: SecretClient
  #config: Config
  #admins = new Map<string, Promise<MongoClient>>()

  constructor (vault: SecretClient, config: Config) {
    this.#vault = vault
    this.#config = config
  }

  /** @throws {RotationError} */
  async of (name: string): Promise<Renewal> {
    const service = CONNECTIONS[name]
    if (!service) return KEYS[name]!
    const account = this.#config[service === 'patient' ? 'PATIENT_COSMOS_ACCOUNT' : 'AUDIT_COSMOS_ACCOUNT']
    if (account && name === 'audit-db-viewer-connection') throw new RotationError('a Cosmos DB account has no user of its own for it')
    if (account) return this.#cosmosKeys(account)
    const secret = `${service}-db-admin-connection`
    if (!this.#admins.has(secret)) this.#admins.set(secret, this.#connect(secret))
    return new DatabaseUsers(await this.#admins.get(secret)!)
  }

  async close () {
    for (const admin of await Promise.allSettled(this.#admins.values())) {
      if (admin.status === 'fulfilled') await admin.value.close()
    }
  }

  async #cosmosKeys (account: string) {
    const [, subscription] = COSMOS_ACCOUNT.exec(account)!
    const { AZURE_CLIENT_ID, RESOURCE_MANAGER_URI } = this.#config
    // Loaded here only, as it takes long
    const [credential, { CosmosDBManagementClient }] = await Promise.all([azureCredential(AZURE_CLIENT_ID), import('@azure/arm-cosmosdb')])
    // Its tokens would be for the management API of the public cloud
    const credentials = { scopes: [new URL('/.default', RESOURCE_MANAGER_URI).href] }
    const client = new CosmosDBManagementClient(credential, subscription!, { endpoint: RESOURCE_MANAGER_URI, credentials })
    return new CosmosKeys(client, account)
  }

  async #connect (secret: string) {
    const connection = await this.#vault.getSecret(secret).then(({ value }) => value!, (error) => {
      if (isMissing(error)) throw new RotationError(`there is no ${secret} to change its users by: connection strings that were given by hand are changed by hand`)
      throw error
    })
    const client = new MongoClient(connection, { serverSelectionTimeoutMS: CONNECT_MS, connectTimeoutMS: CONNECT_MS })
    try {
      return await client.connect()
    } catch (error) {
      await client.close()
      // The driver's own message could quote the connection string
      throw new RotationError(`${secret}: the database does not let it in (${(error as { code?: number }).code ?? (error as Error).name})`)
    }
  }
}
