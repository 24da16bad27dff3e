import type { SecretClient } from '@azure/keyvault-secrets'
import { azureCredential } from '#common/secrets/azure-credential.ts'
import { usesTokens } from '#common/database-mechanism.ts'
import { isMissing } from '#common/secrets/key-vault.ts'
import type { Config } from './config.ts'
import { COSMOS_ACCOUNT, CosmosKeys } from './cosmos-keys.ts'
import {
  NothingToRotate, RotationError, randomKey, subscriptionKeys, type RotationStrategy
} from './strategy.ts'

const KEYS: Record<string, RotationStrategy> = {
  'patient-host-key': randomKey,
  'audit-host-key': randomKey,
  'audit-query-key': randomKey,
  'audit-log-key': randomKey,
  'witness-key': randomKey,
  'patient-data-key': randomKey,
  'auditor-session-key': randomKey,
  'gateway-subscription-keys': subscriptionKeys
}

/** The connection strings, and the service to whose database each connects. */
const CONNECTIONS: Record<string, 'patient' | 'audit'> = {
  'patient-db-connection': 'patient',
  'audit-db-connection': 'audit',
  'audit-db-viewer-connection': 'audit'
}

/** Every secret that can be rotated: those that the identity `rotation` manages in services/access.json. */
export const secretNames = [...Object.keys(KEYS), ...Object.keys(CONNECTIONS)]

/**
 * What `--all` rotates: the secrets of every deployment that no client and no other operator holds. A
 * deployment on Azure may do without the auditor's page.
 */
export const allNames = [
  'patient-host-key', 'audit-host-key', 'audit-query-key', 'audit-log-key', 'patient-data-key',
  'patient-db-connection', 'audit-db-connection'
]

/** The strategy of each secret: random keys, keys of a Cosmos DB account, or users of a MongoDB server. */
export function openStrategies (vault: SecretClient, config: Config) {
  /** By the names of the secrets that hold the administrators' connection strings. */
  const databases = new Map<string, ReturnType<typeof connect>>()
  return {
    /** @throws {RotationError | NothingToRotate} if the secret cannot be rotated in this deployment */
    async find (name: string): Promise<RotationStrategy> {
      const service = CONNECTIONS[name]
      if (!service) return KEYS[name]!
      const account = config[service === 'patient' ? 'PATIENT_COSMOS_ACCOUNT' : 'AUDIT_COSMOS_ACCOUNT']
      if (account && name === 'audit-db-viewer-connection') {
        throw new RotationError('a Cosmos DB account has no separate user for it')
      }
      if (account) return cosmosKeys(account, config)
      const { value } = await vault.getSecret(name)
      if (usesTokens(value!)) throw new NothingToRotate('holds no password: its service logs in with tokens')
      const secret = `${service}-db-admin-connection`
      return databases.getOrInsertComputed(secret, () => connect(secret, vault))
    },

    async close () {
      for (const users of await Promise.allSettled(databases.values())) {
        if (users.status === 'fulfilled') await users.value.close()
      }
    }
  }
}

async function cosmosKeys (account: string, { AZURE_CLIENT_ID, RESOURCE_MANAGER_URI: endpoint }: Config) {
  const [, subscription] = COSMOS_ACCOUNT.exec(account)!
  const [credential, { CosmosDBManagementClient }] =
    await Promise.all([azureCredential(AZURE_CLIENT_ID), import('@azure/arm-cosmosdb')])
  // The SDK's default scope is the management API of the public cloud
  const credentials = { scopes: [new URL('/.default', endpoint).href] }
  const client = new CosmosDBManagementClient(credential, subscription!, { endpoint, credentials })
  return new CosmosKeys(client, account)
}

async function connect (secret: string, vault: SecretClient) {
  // Other secrets are rotated without the MongoDB driver
  const { connectAsAdmin } = await import('./database-users.ts')
  const { value } = await vault.getSecret(secret).catch((error) => {
    if (!isMissing(error)) throw error
    throw new RotationError(`${secret} does not exist: connection strings set by hand are changed by hand`)
  })
  return connectAsAdmin(secret, value!)
}
