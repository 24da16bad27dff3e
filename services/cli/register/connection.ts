import { createClient } from '#common/database-client.ts'
import { openKeyVault } from '#common/secrets/key-vault.ts'
import { ping } from '../../emulators/processes/probes.ts'
import type { Config } from '../system/config.ts'
import { actAs, type Identity } from '../system/identity.ts'
import { StartError } from '../system/state.ts'

/**
 * Opens the audit database: the one that the settings name, else that of the running system or of the vault,
 * as `identity` whose connection string is the secret `secret`. The caller closes the client.
 *
 * @throws {StartError} there is none, or it does not respond
 */
export async function openRegister (config: Config, identity: Identity, secret: string) {
  const { connection, database } = await findRegister(config, identity, secret)
  await ping('the audit database', connection, database)
  const client = createClient(connection)
  return { client, db: client.db(database) }
}

async function findRegister (
  { AUDIT_DB_CONNECTION, MONGODB_URI, DATABASE_PREFIX, LOCAL_DIR }: Config, identity: Identity, secret: string
) {
  const connection = AUDIT_DB_CONNECTION ?? MONGODB_URI
  if (connection) return { connection, database: `${DATABASE_PREFIX}audit` }
  const { KEY_VAULT_URI, AZURE_CLIENT_ID } = process.env
  const { database, settings } = KEY_VAULT_URI
    ? { database: `${DATABASE_PREFIX}audit`, settings: { KEY_VAULT_URI, AZURE_CLIENT_ID } }
    : await running(identity, LOCAL_DIR)
  const vault = await openKeyVault(settings, 0)
  try {
    return { connection: (await vault.getSecret(secret)).value!, database }
  } catch (error) {
    const { code } = error as { code?: string }
    throw new StartError(`cannot read ${secret} from the vault (${code})`)
  }
}

async function running (identity: Identity, dir: string) {
  const { audit: { database }, settings } = await actAs(identity, dir)
  return { database, settings }
}
