import type { SecretClient } from '@azure/keyvault-secrets'
import { MongoClient, MongoServerError, type Db } from 'mongodb'
import { isMissing } from '#common/secrets/key-vault.ts'
import { randomSecret } from '../../rotation/strategy.ts'
import { StartError } from './state.ts'

/** The database of one service: on a server whose users are made here, or one for which a user gave the connection string. */
export interface WantedDatabase {
  database: string
  connection?: string
  server?: {
    /** Host and port. */
    address: string
    /** Of its user `root`, where it has one already. */
    rootPassword?: string
  }
}

/** What is to be there. */
export interface Wanted {
  subscriptionKey?: string
  patient: WantedDatabase
  audit: WantedDatabase
}

const USER_EXISTS = 51_003
const AUTHENTICATION_FAILED = 18

/**
 * Fills a vault as its deployer, as Terraform does on Azure: the first keys, the databases' users and connection
 * strings. Each step may be carried out again, so that a start which was cut short is completed by the next.
 *
 * @returns the subscription key of the product `client`
 * @throws {StartError}
 */
export async function provision (vault: SecretClient, { subscriptionKey, patient, audit }: Wanted): Promise<string> {
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
  async function ensureUsers (admin: MongoClient, secret: string, { database, server }: WantedDatabase, user: string, role: string) {
    const connection = await ensure(secret, (before) => {
      const password = passwordOf(before, `${user}-a`, `${user}-b`)
      return password ? at(server!.address, before!) : `mongodb://${user}-a:${randomSecret()}@${server!.address}/${database}?authSource=${database}`
    })
    const { username, password } = credentialsOf(connection)!
    for (const name of [`${user}-a`, `${user}-b`]) await putUser(admin.db(database), name, name === username ? password : undefined, role)
  }

  async function ensureAdmin (secret: string, { address, rootPassword }: NonNullable<WantedDatabase['server']>) {
    return ensure(secret, (before) => {
      if (before && !rootPassword) return at(address, before)
      return `mongodb://root:${rootPassword ?? randomSecret()}@${address}/?authSource=admin`
    })
  }

  const keys = ['patient-host-key', 'audit-host-key', 'patient-data-key'].map((name) => ensure(name, (before) => before ?? randomSecret()))
  const subscriptions = ensure('gateway-subscription-keys', (before) => {
    const { 'local-client': client, 'local-reader': reader } = JSON.parse(before ?? '{}')
    return JSON.stringify({
      'local-client': { product: 'client', key: subscriptionKey ?? client?.key ?? randomSecret() },
      'local-reader': { product: 'reader', key: reader?.key ?? randomSecret() }
    })
  })
  await Promise.all(keys)

  let adminOfPatient: string | undefined
  for (const [service, wanted] of [['patient', patient], ['audit', audit]] as const) {
    const { database, connection, server } = wanted
    const viewed = service === 'audit'
    if (connection) {
      await ensure(`${service}-db-connection`, () => connection)
      if (viewed) await ensure('audit-db-viewer-connection', () => connection)
    }
    if (!server) continue
    // One server has one root
    const shared = viewed && server.address === patient.server?.address ? adminOfPatient : undefined
    const root = shared ? await ensure('audit-db-admin-connection', () => shared) : await ensureAdmin(`${service}-db-admin-connection`, server)
    if (!viewed) adminOfPatient = root
    const admin = await openAdmin(root)
    try {
      await ensureUsers(admin, `${service}-db-connection`, wanted, database, 'readWrite')
      if (viewed) await ensureUsers(admin, 'audit-db-viewer-connection', wanted, `${database}-viewer`, 'read')
    } finally {
      await admin.close()
    }
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
    throw new StartError('a database was made with another vault: its users do not have the passwords of this one')
  }
}

async function putUser (db: Db, user: string, pwd: string | undefined, role: string) {
  try {
    await db.command({ createUser: user, pwd: pwd ?? randomSecret(), roles: [role] })
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
