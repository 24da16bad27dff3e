import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { SecretClient } from '@azure/keyvault-secrets'
import { MongoClient } from 'mongodb'
import { pino } from 'pino'
import type { Test } from 'tap'
import { Secret } from '#common/secrets/secrets.ts'
import { startDatabase } from '../../emulators/mongodb/server.ts'
import { dataDirectory } from '../../emulators/mongodb/test/helper.ts'
import { access, sdk, startVault, type Vault } from '../../emulators/vault/test/vault.ts'
import { randomSecret } from '../strategy.ts'
import { secretNames } from '../strategies.ts'

const MAIN = fileURLToPath(import.meta.resolve('../main.ts'))
const LOCALHOST = import.meta.resolve('../../emulators/processes/localhost.ts')
const KILLED = import.meta.resolve('./killed.ts')

// Most of what a process of these tests does is to load its modules
const CACHE = { NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? 'node_modules/.cache/node' }

const silent = pino({ level: 'silent' })

export const REFRESH_MS = 60_000
export const GRACE_MS = 600_000
export const HOUR_MS = 60 * 60 * 1_000

/** The users of the connection strings, with the role of each on its database. */
const USERS: Record<string, { user: string, database: string, role: string }> = {
  'patient-db-connection': { user: 'patient', database: 'patient', role: 'readWrite' },
  'audit-db-connection': { user: 'audit', database: 'audit', role: 'readWrite' },
  'audit-db-viewer-connection': { user: 'audit-viewer', database: 'audit', role: 'read' }
}

interface Run {
  env?: NodeJS.ProcessEnv
  /** The vault's answer at which it is killed. */
  killedAt?: number
}

/** A vault as its deployer sees it, and the command on it. */
export async function startRotation (t: Test) {
  const vault = await startVault(t)
  /** All that the command has told, and all keys and passwords that there were. */
  const told: string[] = []
  const values = new Set<string>()

  /** Runs the command until it ends. */
  async function run (args: string[], { env, killedAt }: Run = {}) {
    const preloaded = ['--import', LOCALHOST, ...killedAt === undefined ? [] : ['--import', KILLED]]
    const command = spawn(process.execPath, [...preloaded, MAIN, ...args], {
      env: {
        ...CACHE,
        NODE_EXTRA_CA_CERTS: vault.ca,
        ...settingsOf(vault),
        KILLED_AT: String(killedAt),
        ...env
      },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    const ended = once(command, 'close')
    t.teardown(() => command.kill('SIGKILL'))
    let [stdout, stderr] = ['', '']
    command.stdout.setEncoding('utf8').on('data', (chunk) => { stdout += chunk })
    command.stderr.setEncoding('utf8').on('data', (chunk) => { stderr += chunk })
    const [code, signal] = await ended as [number | null, NodeJS.Signals | null]
    told.push(stdout, stderr)
    return { code, signal, stdout, stderr }
  }

  /** What the vault answers its deployer. */
  async function ask (method: 'GET' | 'PUT' | 'PATCH' | 'POST' | 'DELETE', path: string, content?: object) {
    const { statusCode, json, text } = await vault.as('deployer', method, path, content)
    if (statusCode !== 200) throw new Error(text)
    return json()
  }

  /** Sets a version that supersedes none. */
  async function set (name: string, value: string, tags?: Record<string, string>) {
    keep(value)
    return idOf(await ask('PUT', `/secrets/${name}`, { value, tags }))
  }

  function keep (value: string) {
    for (const key of value.match(/[\w-]{43}/g) ?? []) values.add(key)
    return value
  }

  /** A version, or the newest. */
  async function read (name: string, id = '') {
    const { value, tags, attributes, ...item } = await ask('GET', `/secrets/${name}/${id}`)
    const [createdOn, notBefore, expiresOn] = [attributes.created, attributes.nbf, attributes.exp].map(
      (seconds) => seconds && new Date(seconds * 1_000)
    ) as [Date, Date?, Date?]
    return {
      id: idOf(item),
      value: keep(value),
      enabled: true,
      createdOn,
      notBefore,
      expiresOn,
      tags,
      previous: tags?.previous as string | undefined
    }
  }

  /** Changes the newest version, or deletes or recovers the secret. */
  const change = (name: string, attributes: object) => ask('PATCH', `/secrets/${name}`, { attributes })
  const remove = (name: string) => ask('DELETE', `/secrets/${name}`)
  const recover = (name: string) => ask('POST', `/deletedsecrets/${name}/recover`)

  /** The newest version and all before it, as far as their tags lead. */
  async function chain (name: string) {
    const versions = [await read(name)]
    for (let { previous } = versions[0]!; previous; previous = versions.at(-1)!.previous) {
      versions.push(await read(name, previous))
    }
    return versions
  }

  /** All versions of a secret, in the chain or not. */
  async function list (name: string): Promise<Array<{ id: string, enabled: boolean }>> {
    const versions = []
    for (let path = `/secrets/${name}/versions`; path;) {
      const { value, nextLink } = await ask('GET', path)
      for (const { attributes: { enabled }, ...item } of value) versions.push({ id: idOf(item), enabled })
      path = nextLink && nextLink.slice(new URL(nextLink).origin.length)
    }
    return versions
  }

  /** How many versions there are of each secret. */
  async function counts () {
    const lists = await Promise.all(secretNames.map(list))
    return Object.fromEntries(secretNames.map((name, i) => [name, lists[i]!.length]))
  }

  /** Lets the newest version be active for long. */
  async function activate (...names: string[]) {
    for (const name of names) await change(name, { nbf: 1 })
  }

  /** The versions that a service would have in force. */
  async function validVersions (name: string) {
    const secret = new Secret({
      name,
      read: (id) => read(name, id),
      derive: String,
      refreshSeconds: Infinity,
      rotationDays: Infinity,
      log: silent
    })
    await secret.loaded
    const versions = secret.validVersions()
    secret.close()
    return versions
  }

  /** The keys and passwords that the command has told: there must be none. */
  async function toldValues () {
    for (const name of secretNames) {
      for (const { id, enabled } of await list(name)) if (enabled) await read(name, id)
    }
    const all = told.join('\n')
    return { told: [...values].filter((value) => all.includes(value)), of: values.size }
  }

  return {
    vault,
    run,
    set,
    read,
    change,
    remove,
    recover,
    chain,
    counts,
    activate,
    validVersions,
    toldValues
  }
}

const idOf = ({ id }: { id: string }) => id.split('/').at(-1)!

export type Rotation = Awaited<ReturnType<typeof startRotation>>

export function settingsOf ({ url, headers }: Vault): NodeJS.ProcessEnv {
  return {
    KEY_VAULT_URI: url,
    AZURE_CLIENT_ID: access.rotation!.clientId,
    IDENTITY_ENDPOINT: `${url}/msi/token`,
    IDENTITY_HEADER: headers.rotation
  }
}

/** The SDK's client of the identity `rotation`, in a process of its own. */
export function vaultClient (t: Test, vault: Vault) {
  const client = sdk(t, vault, 'rotation', CACHE)
  return {
    getSecret: (...args: Parameters<SecretClient['getSecret']>) => client('getSecret', ...args),
    setSecret: (...args: Parameters<SecretClient['setSecret']>) => client('setSecret', ...args),
    updateSecretProperties: (name: string, version: string, options: object) =>
      client('updateSecretProperties', name, version, options)
  } as Pick<SecretClient, 'getSecret' | 'setSecret' | 'updateSecretProperties'> as SecretClient
}

export class Interrupted extends Error {}

/** Counts what is done, and throws instead of doing more than `last` things. */
export function interruption (last = Infinity) {
  const steps: string[] = []
  async function step<T> (name: string, work: () => Promise<T>) {
    if (steps.length === last) throw new Interrupted()
    steps.push(name)
    return work()
  }
  /** `target` with its methods `names` counted. */
  function of<T extends object> (target: T, ...names: Array<keyof T & string>) {
    return Object.fromEntries(names.map((name) => [name, (...args: unknown[]) =>
      step(name, () => Reflect.apply(target[name] as () => Promise<unknown>, target, args))])) as unknown as T
  }
  return {
    steps,
    vault: (client: SecretClient) => of(client, 'getSecret', 'setSecret', 'updateSecretProperties'),
    admin: (client: MongoClient) =>
      ({
        db: (name: string) => ({
          command: (command: object) =>
            step(Object.keys(command)[0]!, () => client.db(name).command(command))
        })
      }) as unknown as MongoClient
  }
}

/** A database with passwords and two users for each connection string, of which the vault has the first. */
export async function startUsers (t: Test, { set }: Pick<Rotation, 'set'>) {
  const root = { user: 'root', password: randomSecret() }
  const database = await startDatabase({ dataDir: dataDirectory(t), auth: true, root, logger: silent })
  t.teardown(() => database.close())
  const address = `127.0.0.1:${database.port}`
  const adminConnection = `mongodb://root:${root.password}@${address}/?authSource=admin`
  const admin = await connect(t, adminConnection)
  await set('patient-db-admin-connection', adminConnection)
  await set('audit-db-admin-connection', adminConnection)
  for (const { user, database, role } of Object.values(USERS)) {
    for (const turn of ['a', 'b']) {
      await admin
        .db(database)
        .command({ createUser: `${user}-${turn}`, pwd: randomSecret(), roles: [role] })
    }
  }

  /** Has one of the two users log in, and the vault say so in a version that supersedes none. */
  async function begin (name: string, turn = 'a') {
    const { user, database } = USERS[name]!
    const password = randomSecret()
    await admin.db(database).command({ updateUser: `${user}-${turn}`, pwd: password })
    const value = `mongodb://${user}-${turn}:${password}@${address}/${database}?authSource=${database}`
    return { value, id: await set(name, value) }
  }

  for (const name of Object.keys(USERS)) await begin(name)
  return { admin, adminConnection, address, begin }
}

/** A client that is logged in, with one connection for all it does. */
export async function connect (t: Test, connection: string) {
  const client = await new MongoClient(connection, { maxPoolSize: 1 }).connect()
  t.teardown(() => client.close())
  await client.db().command({ ping: 1 })
  return client
}

/** 0 where `client` may read its database, else the error's code. */
export async function codeOf (client: MongoClient): Promise<number> {
  return client.db().collection('things').findOne().then(() => 0, ({ code }) => code)
}

/** 0 where a connection string logs in, else the error's code. */
export async function loginOf (connection: string): Promise<number> {
  const client = new MongoClient(connection)
  try {
    return await codeOf(client)
  } finally {
    await client.close()
  }
}
