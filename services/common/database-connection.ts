import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { Db, MongoClient } from 'mongodb'
import { createClient, fetchTokenAhead } from './database-client.ts'
import { backoff } from './database-errors.ts'
import { CONNECT_MS, HEARTBEAT_MS, whenStalled } from './database-heartbeats.ts'
import type { Secret, Version } from './secrets/secrets.ts'
import { traceCommands } from './telemetry/commands.ts'
import { telemetryEnabled } from './telemetry/operation.ts'
import { withTimeout } from './with-timeout.ts'

/** Every operation on a replaced client has finished after this time. */
const DRAIN_MS = 10_000
/** How long a client may take to connect, to log in, and to be answered. */
const LOGIN_MS = 15_000
const MAX_RENEWAL_BACKOFF_MS = 5_000

interface Login {
  /** The version of the connection string. */
  version: string
  client: MongoClient
  db: Db
  /** When another login replaces it, in ms since the epoch. */
  renewAt: number
}

const MAX_TIMER_MS = 2 ** 31 - 1

/**
 * The connection to database `name`. When the connection string changes, before the token of a login expires,
 * or when a client does not check its server any more, a new client connects and replaces the current one,
 * which is closed after its operations have finished. The driver alone would log in again only when the
 * database refuses an expired token, one connection after another, and at most ten a second.
 */
export class DatabaseConnection {
  #connectionString: Secret<string>
  #name: string
  #log: FastifyBaseLogger
  #login: Login | undefined
  #draining = new Map<MongoClient, NodeJS.Timeout>()
  #renewal: Promise<void> | undefined
  #connected = Promise.withResolvers<void>()
  #renewalTimer: NodeJS.Timeout | undefined
  #closed = false

  constructor (connectionString: Secret<string>, name: string, log: FastifyBaseLogger) {
    this.#connectionString = connectionString
    this.#name = name
    this.#log = log
    connectionString.loaded.then(() => this.#renew())
    connectionString.onChange(() => this.#renew())
  }

  get login () { return this.#login }
  get closed () { return this.#closed }

  /** Fulfilled when the database has answered for the first time, or the connection was closed before. */
  get connected () { return this.#connected.promise }

  async close () {
    this.#closed = true
    this.#connected.resolve()
    clearTimeout(this.#renewalTimer)
    for (const timer of this.#draining.values()) clearTimeout(timer)
    const clients = [...this.#draining.keys(), ...this.#login ? [this.#login.client] : []]
    await Promise.all(clients.map((client) => client.close()))
  }

  /** Replaces a login that the server refused; false where there is no other one by the time `until`. */
  async replace (refused: Login | undefined, until: number) {
    if (this.#login === refused) {
      const renewed = this.#connectionString.refresh().then(() => this.#renew())
      await withTimeout(until - performance.now(), renewed, () => new Error('no new login')).catch(() => {})
    }
    return this.#login !== refused
  }

  #renew () {
    this.#renewal ??= this.#logInWithNewest().finally(() => { this.#renewal = undefined })
    return this.#renewal
  }

  async #logInWithNewest () {
    for (let attempt = 0; !this.#closed; attempt++) {
      const [newest, ...others] = this.#connectionString.validVersions()
      // After a success too: a newer version may have been published meanwhile
      if (!newest || this.#isCurrent(newest)) return
      if (await this.#logIn(newest)) continue
      // At the start, an older version may work where the newest does not
      for (const version of others) {
        if (this.#login || await this.#logIn(version)) break
      }
      await sleep(backoff(attempt, this.#login ? MAX_RENEWAL_BACKOFF_MS : undefined))
    }
  }

  #isCurrent ({ id }: Version<string>) {
    return this.#login?.version === id && Date.now() < this.#login.renewAt
  }

  /** Connects with a version of the connection string and makes it the current login; false if that fails. */
  async #logIn ({ id: version, value: connectionString }: Version<string>) {
    const client = openClient(connectionString, this.#name)
    whenStalled(client, () => this.#replaceStalled(client))
    const db = client.db(this.#name)
    let renewAt: number
    try {
      renewAt = await fetchTokenAhead(client)
      // Without `connect`, a client whose first command fails would never connect again
      const answered = client.connect().then(() => db.command({ ping: 1 }))
      await withTimeout(LOGIN_MS, answered, () => new Error('no answer'))
    } catch (err) {
      client.close().catch(() => {})
      if (!this.#closed) this.#log.warn({ err, version }, 'cannot connect to the database')
      return false
    }
    if (this.#closed) await client.close()
    else this.#replaceLogin({ version, client, db, renewAt })
    return true
  }

  #replaceLogin (login: Login) {
    if (this.#login) this.#drain(this.#login.client)
    this.#login = login
    this.#connected.resolve()
    clearTimeout(this.#renewalTimer)
    if (login.renewAt === Infinity) return
    const delay = Math.min(login.renewAt - Date.now(), MAX_TIMER_MS)
    this.#renewalTimer = setTimeout(() => this.#renewLogin(login), delay).unref()
  }

  #renewLogin (login: Login) {
    login.renewAt = 0
    this.#renew()
  }

  #replaceStalled (client: MongoClient) {
    if (this.#closed || this.#login?.client !== client) return
    this.#log.warn('the driver stopped checking the database, connecting again')
    this.#renewLogin(this.#login)
  }

  #drain (client: MongoClient) {
    this.#draining.set(client, setTimeout(() => {
      this.#draining.delete(client)
      client.close().catch(() => {})
    }, DRAIN_MS).unref())
  }
}

function openClient (connectionString: string, appName: string) {
  const client = createClient(connectionString, {
    appName,
    monitorCommands: telemetryEnabled(),
    writeConcern: { w: 'majority', journal: true },
    retryWrites: false, // not supported by Cosmos DB; `Database.run` retries on every server
    maxPoolSize: 64,
    maxIdleTimeMS: 120_000, // Azure's load balancer drops connections that are idle for 4 minutes
    connectTimeoutMS: CONNECT_MS,
    heartbeatFrequencyMS: HEARTBEAT_MS,
    // Short, since `Database.run` retries: no write may start after its caller was answered 503
    serverSelectionTimeoutMS: 500,
    waitQueueTimeoutMS: 500,
    socketTimeoutMS: 4_500
  })
  if (telemetryEnabled()) traceCommands(client)
  return client
}
