import type { SecretClient } from '@azure/keyvault-secrets'
import { MongoClient, MongoServerError, type Db } from 'mongodb'
import { ConnectionString } from 'mongodb-connection-string-url'
import { LOG_ORIGIN } from '#common/transparency/names.ts'
import { isMissing } from '#common/secrets/key-vault.ts'
import { loginIn, withCredentials } from '../../rotation/connection-string.ts'
import { randomSecret } from '../../rotation/strategy.ts'
import { publicKeysOf, type PublicKeys } from './public-keys.ts'
import { StartError } from './state.ts'

/** The database of one service. */
export interface WantedDatabase {
  database: string
  /** A connection string that the user supplies. */
  connection?: string
  /** A server on which users are created for the service. */
  server?: {
    /** Host and port. */
    address: string
    /** The password of the user `root`, if the server has that user already. */
    rootPassword?: string
  }
}

/** What the vault is filled with. */
export interface Wanted {
  subscriptionKey?: string
  /** The first values of keys; random by default. */
  firstKeys?: Record<string, string | undefined>
  /** The name of the log, which is part of its public key. */
  logOrigin?: string
  patient: WantedDatabase
  audit: WantedDatabase
}

/** The keys that people get. */
export interface Provisioned {
  /** The subscription keys of a client and of an auditor. */
  keys: { client: string, auditor: string }
  publicKeys: PublicKeys
}

/** Sets a secret to what `wanted` returns, unless it has this value already. Fulfilled with the value. */
type Ensure = (name: string, wanted: (before: string | undefined) => string) => Promise<string>

const USER_EXISTS = 51_003
const AUTHENTICATION_FAILED = 18

/**
 * Fills a vault as its deployer, as Terraform does on Azure: with the first keys and the connection strings
 * of the databases, whose users it creates. Every step can be repeated after an interruption.
 *
 * @throws {StartError} a database has users with other passwords
 */
export async function provision (vault: SecretClient, wanted: Wanted): Promise<Provisioned> {
  const { subscriptionKey, firstKeys = {}, logOrigin = LOG_ORIGIN, patient, audit } = wanted
  const ensure: Ensure = async (name, wanted) => {
    const before = await read(vault, name)
    const value = wanted(before)
    if (value !== before) await vault.setSecret(name, value)
    return value
  }

  const ensureKey = (name: string) => ensure(name, (before) => before ?? firstKeys[name] ?? randomSecret())
  const random = [
    'patient-host-key', 'audit-host-key', 'audit-query-key', 'patient-data-key', 'auditor-session-key'
  ]
  const [subscriptions, logKey, witnessKey] = await Promise.all([
    ensure('gateway-subscription-keys', (before) => subscriptionKeys(before, subscriptionKey)),
    ensureKey('audit-log-key'),
    ensureKey('witness-key'),
    ...random.map(ensureKey)
  ])
  const admin = await provisionDatabase(ensure, 'patient', patient)
  const sameServer = audit.server?.address === patient.server?.address
  await provisionDatabase(ensure, 'audit', audit, sameServer ? admin : undefined)
  const { 'local-client': client, 'local-auditor': auditor } = JSON.parse(subscriptions)
  const keys = { client: client.key, auditor: auditor.key }
  return { keys, publicKeys: publicKeysOf(logKey, witnessKey, logOrigin) }
}

async function read (vault: SecretClient, name: string) {
  try {
    return (await vault.getSecret(name)).value
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

function subscriptionKeys (before = '{}', subscriptionKey?: string) {
  const { 'local-client': client, 'local-reader': reader, 'local-auditor': auditor } = JSON.parse(before)
  return JSON.stringify({
    'local-client': { product: 'client', key: subscriptionKey ?? client?.key ?? randomSecret() },
    'local-reader': { product: 'reader', key: reader?.key ?? randomSecret() },
    'local-auditor': { product: 'auditor', key: auditor?.key ?? randomSecret() }
  })
}

/**
 * Sets the connection strings of one database and creates its users.
 *
 * @param knownAdmin the administrator's connection string, if the server has another database of the system
 * @returns the administrator's connection string
 */
async function provisionDatabase (
  ensure: Ensure, service: 'patient' | 'audit', wanted: WantedDatabase, knownAdmin?: string
) {
  const { database, connection, server } = wanted
  const hasViewer = service === 'audit'
  if (connection) {
    await ensure(`${service}-db-connection`, () => connection)
    if (hasViewer) await ensure(`${service}-db-viewer-connection`, () => connection)
  }
  if (!server) return
  const { address, rootPassword } = server
  const adminConnection = await ensure(`${service}-db-admin-connection`, (before) => {
    if (knownAdmin) return knownAdmin
    if (before && !rootPassword) return withAddress(before, address)
    return `mongodb://root:${rootPassword ?? randomSecret()}@${address}/?authSource=admin`
  })
  const admin = await openAdmin(adminConnection)
  /** Two users, of which the newest version of the secret names the one that the service uses. */
  const ensureUsers = async (secret: string, user: string, role: string) => {
    const users = [`${user}-a`, `${user}-b`]
    const current = await ensure(secret, (before) => {
      if (before && users.includes(loginIn(before).username)) return withAddress(before, address)
      return `mongodb://${users[0]}:${randomSecret()}@${address}/${database}?authSource=${database}`
    })
    const { username, password } = loginIn(current)
    for (const name of users) {
      await putUser(admin.db(database), name, name === username ? password : undefined, role)
    }
  }
  try {
    await ensureUsers(`${service}-db-connection`, database, 'readWrite')
    if (hasViewer) await ensureUsers(`${service}-db-viewer-connection`, `${database}-viewer`, 'read')
  } finally {
    await admin.close()
  }
  return adminConnection
}

/** A client with the role `root`. A server without users lets local clients create the first one. */
async function openAdmin (connection: string) {
  const { username, password } = loginIn(connection)
  const anonymous = new MongoClient(withCredentials(connection, '', ''))
  try {
    await anonymous.db('admin').command({ createUser: username, pwd: password, roles: ['root'] })
  } catch (error) {
    // The server has users already and requires authentication
    if (!(error instanceof MongoServerError)) throw error
  } finally {
    await anonymous.close()
  }
  try {
    return await new MongoClient(connection).connect()
  } catch (error) {
    if ((error as MongoServerError).code !== AUTHENTICATION_FAILED) throw error
    throw new StartError('a database was set up with another vault: its users have other passwords')
  }
}

/** Creates a user, or sets the password of an existing one where `password` is given. */
async function putUser (db: Db, user: string, password: string | undefined, role: string) {
  try {
    await db.command({ createUser: user, pwd: password ?? randomSecret(), roles: [role] })
  } catch (error) {
    if ((error as MongoServerError).code !== USER_EXISTS) throw error
    if (password) await db.command({ updateUser: user, pwd: password })
  }
}

/** `connection` to a server at `address`: the port of the embedded server changes with each start. */
function withAddress (connection: string, address: string) {
  const changed = new ConnectionString(connection)
  changed.hosts = [address]
  return changed.href
}
