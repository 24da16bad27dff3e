import { once } from 'node:events'
import type { SecretClient } from '@azure/keyvault-secrets'
import { MongoClient, MongoServerError, type Db } from 'mongodb'
import { isMissing, openKeyVault } from '#common/key-vault.ts'
import { random } from '../rotation/renewal.ts'
import { StartError } from './state.ts'

// What Terraform does on Azure, as a process with the deployer's identity: first keys, users and connection strings.
// Each step may be carried out again, so that a start which was cut short is completed by the next.

/** What is to be there, told over the channel of the process: an environment is no place for it. */
export interface Wanted {
  subscriptionKey?: string
  /** The databases' names, each with the connection string that a user gave for it, else it is one of the embedded server. */
  patient: { database: string, connection?: string }
  audit: { database: string, connection?: string }
  /** Host and port of the embedded server, where it runs. */
  embedded?: string
}

/** What start.ts needs of it, or why there is none. */
export type Provisioned = { subscriptionKey: string } | { problem: string }

const USER_EXISTS = 51_003
const AUTHENTICATION_FAILED = 18

// What it waits for comes over it
process.channel!.ref()

try {
  const { KEY_VAULT_URI, AZURE_CLIENT_ID } = process.env
  const [vault, [wanted]] = await Promise.all([openKeyVault({ KEY_VAULT_URI: KEY_VAULT_URI!, AZURE_CLIENT_ID }), once(process, 'message')])
  const subscriptionKey = await provision(vault, wanted)
  process.send!({ subscriptionKey } satisfies Provisioned)
} catch (error) {
  if (!(error instanceof StartError)) throw error
  process.send!({ problem: error.message } satisfies Provisioned)
}
process.disconnect!()

async function provision (vault: SecretClient, { subscriptionKey, patient, audit, embedded }: Wanted) {
  async function newest (name: string) {
    try {
      return (await vault.getSecret(name)).value
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  /** Sets a secret where it is not what it is to be; answers what it is. */
  async function ensure (name: string, wanted: (before: string | undefined) => string) {
    const before = await newest(name)
    const value = wanted(before)
    if (value !== before) await vault.setSecret(name, value)
    return value
  }

  /** The users of one database, of which the newest version of the secret names the one in use. */
  async function ensureUser (admin: MongoClient, secret: string, database: string, user: string, role: string) {
    const connection = await ensure(secret, (before) => {
      const password = passwordOf(before, `${user}-a`, `${user}-b`)
      return password ? at(embedded!, before!) : `mongodb://${user}-a:${random()}@${embedded}/${database}?authSource=${database}`
    })
    const { username, password } = credentialsOf(connection)!
    const db = admin.db(database)
    for (const name of [`${user}-a`, `${user}-b`]) await putUser(db, name, name === username ? password : undefined, role)
  }

  const keys = ['patient-host-key', 'audit-host-key', 'patient-data-key'].map((name) => ensure(name, (before) => before ?? random()))
  const subscriptions = ensure('gateway-subscription-keys', (before) => {
    const { 'local-client': client, 'local-reader': reader } = JSON.parse(before ?? '{}')
    return JSON.stringify({
      'local-client': { product: 'client', key: subscriptionKey ?? client?.key ?? random() },
      'local-reader': { product: 'reader', key: reader?.key ?? random() }
    })
  })
  await Promise.all(keys)

  let admin: MongoClient | undefined
  try {
    if (embedded) {
      const connection = await ensure('patient-db-admin-connection', (before) =>
        before ? at(embedded, before) : `mongodb://root:${random()}@${embedded}/?authSource=admin`)
      await ensure('audit-db-admin-connection', () => connection)
      admin = await openAdmin(connection)
    }
    await Promise.all(([['patient', patient], ['audit', audit]] as const).map(async ([service, { database, connection }]) => {
      const viewed = service === 'audit'
      if (connection) {
        await ensure(`${service}-db-connection`, () => connection)
        if (viewed) await ensure('audit-db-viewer-connection', () => connection)
      } else {
        await ensureUser(admin!, `${service}-db-connection`, database, database, 'readWrite')
        if (viewed) await ensureUser(admin!, 'audit-db-viewer-connection', database, `${database}-viewer`, 'read')
      }
    }))
  } finally {
    await admin?.close()
  }
  return JSON.parse(await subscriptions)['local-client'].key
}

/** A client that may do everything. A server without users lets the first be made from its own machine. */
async function openAdmin (connection: string) {
  const { username, password } = credentialsOf(connection)!
  const first = new MongoClient(withoutCredentials(connection))
  try {
    await first.db('admin').command({ createUser: username, pwd: password, roles: ['root'] })
  } catch (error) {
    // It has users already, and asks who this is
    if (!(error instanceof MongoServerError)) throw error
  } finally {
    await first.close()
  }
  try {
    return await new MongoClient(connection).connect()
  } catch (error) {
    if ((error as MongoServerError).code !== AUTHENTICATION_FAILED) throw error
    throw new StartError('the embedded database was made with another vault: its users do not have the passwords of this one')
  }
}

async function putUser (db: Db, user: string, pwd: string | undefined, role: string) {
  try {
    await db.command({ createUser: user, pwd: pwd ?? random(), roles: [role] })
  } catch (error) {
    if ((error as MongoServerError).code !== USER_EXISTS) throw error
    if (pwd) await db.command({ updateUser: user, pwd })
  }
}

function credentialsOf (connection: string) {
  const { username, password } = new MongoClient(connection).options.credentials ?? {}
  return username && password ? { username, password } : undefined
}

function passwordOf (connection: string | undefined, ...users: string[]) {
  const credentials = connection && credentialsOf(connection)
  return credentials && users.includes(credentials.username) ? credentials.password : undefined
}

function withoutCredentials (connection: string) {
  return connection.replace(/\/\/[^@/]*@/, '//')
}

/** A connection string for the same user at another address: the embedded server's port changes. */
function at (address: string, connection: string) {
  return connection.replace(/@[^/?]*/, `@${address}`)
}
