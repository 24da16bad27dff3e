import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger, FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import fp from 'fastify-plugin'
import {
  MongoClient, MongoError, MongoNetworkError, MongoServerError, MongoServerSelectionError, MongoWriteConcernError,
  type Collection, type CreateIndexesOptions, type Db, type Document, type IndexSpecification
} from 'mongodb'
import { Type } from 'typebox'
import { DatabaseUnavailable } from './http/problems.ts'
import type { Secret, Secrets, Version } from './secrets/secrets.ts'
import { traceCommands } from './telemetry/commands.ts'
import { recordMetric } from './telemetry/metrics.ts'
import { telemetryEnabled } from './telemetry/operation.ts'
import { STARTING_MS, withTimeout } from './with-timeout.ts'

export const databaseName = (name: string) => Type.String({ default: name, pattern: '^[A-Za-z0-9_-]{1,63}$' })

const TRANSIENT = [MongoNetworkError, MongoServerSelectionError, MongoWriteConcernError]

// Of a connection that broke: what happens while the driver waits for its socket to take more, it throws as it is
const SOCKET_CODES = new Set<unknown>(['EPIPE', 'ECONNRESET', 'ECONNABORTED', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH'])

// A server that shuts down or loses its primary (source: the driver specification of retryable writes), or that ran out of time
const TRANSIENT_CODES = new Set<unknown>([6, 7, 50, 89, 91, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436])

export interface Index {
  collection: string
  key: IndexSpecification
  options?: CreateIndexesOptions
}

/** How long one piece of work is repeated while the database throttles it, is away, or connections to it break. */
const RETRY_MS = 2_500

/** No work on a connection string that another took over from is still under way after this time. */
const DRAIN_MS = 10_000
const MAX_RENEWAL_BACKOFF_MS = 5_000

const THROTTLED = 16_500
const DUPLICATE_KEY = 11_000
// BadValue, FailedToParse, TypeMismatch, CommandNotFound, ImmutableField: our own command was wrong
const DEFECTS = new Set<unknown>([2, 9, 14, 59, 66])

// Unauthorized, AuthenticationFailed, AtlasError: the password was changed, or its user is gone
const LOGIN_REFUSED = new Set<unknown>([13, 18, 8_000])
// Of these the one that a login alone meets: the password may be just about to change
const AUTHENTICATION_FAILED = 18

/** The time (of `performance.now`) after which the work it holds for starts nothing more on a database. */
export const startDeadline = new AsyncLocalStorage<number>()

/** A connection string that the driver takes. */
export function connectionString (secrets: Secrets, name: string) {
  // A client parses it, and does not connect yet
  return secrets.open(name, (connection) => new MongoClient(connection) && connection)
}

interface Login {
  /** The version of the connection string. */
  version: string
  client: MongoClient
  db: Db
}

/**
 * A connection to one MongoDB database, any server of the dialect that Cosmos DB and MongoDB share.
 *
 * When the connection string changes, a new client connects and takes over; the old one finishes its work.
 */
export class Database {
  #connection: Secret<string>
  #name: string
  #log: FastifyBaseLogger
  #login: Login | undefined
  #retiring = new Map<MongoClient, NodeJS.Timeout>()
  #renewing: Promise<void> | undefined
  #closed = false
  /** Fulfilled at the first ping that was answered. */
  readonly connected: Promise<void>

  constructor (connection: Secret<string>, name: string, indexes: Index[], log: FastifyBaseLogger) {
    this.#connection = connection
    this.#name = name
    this.#log = log
    this.connected = this.#begin(indexes)
    connection.onChange(() => this.#renew())
  }

  get ready () { return this.#login !== undefined }

  collection<T extends Document> (name: string): Collection<T> {
    if (!this.#login) throw new DatabaseUnavailable()
    return this.#login.db.collection<T>(name)
  }

  /**
   * Runs work that may safely be done twice. It is repeated after throttling, as late as the server asks, and
   * after a broken connection, for a bounded time and never later than `startBy` says.
   *
   * @throws {DatabaseUnavailable} where the database cannot take the work; a defect's error as it is
   */
  async run<T> (work: () => Promise<T>): Promise<T> {
    const latest = startDeadline.getStore() ?? Infinity
    const giveUp = Math.min(latest, performance.now() + RETRY_MS)
    if (performance.now() > latest) throw new DatabaseUnavailable()
    for (let attempt = 0; ; attempt++) {
      const login = this.#login
      try {
        return await work()
      } catch (thrown) {
        const error = asDriverError(thrown)
        if (!(error instanceof MongoError) || isDuplicateKey(error) || DEFECTS.has(error.code)) throw error
        if (LOGIN_REFUSED.has(error.code) && await this.#hasNewLogin(login, giveUp)) continue
        if (error.code === THROTTLED) recordMetric('database.throttled', 1)
        const wait = waitBeforeRetry(error, attempt)
        if (wait === undefined || performance.now() + wait > giveUp) throw unavailable(error)
        recordMetric('database.retries', 1, { 'error.type': String(error.code ?? error.name) })
        this.#log.warn({ err: error, wait, attempt }, 'repeating work on the database')
        await sleep(wait)
      }
    }
  }

  /**
   * Stores a document under an `_id` that is its own alone, once, however often a broken connection makes it be sent.
   * `sent` says that an earlier call may have stored it.
   */
  insertOnce<T extends Document> (collection: string, document: T, sent = false): Promise<void> {
    return this.run(async () => {
      try {
        await this.collection(collection).insertOne(document)
      } catch (error) {
        if (sent && isDuplicateKey(error)) return
        sent = true
        throw error
      }
    })
  }

  async close () {
    this.#closed = true
    for (const timer of this.#retiring.values()) clearTimeout(timer)
    await Promise.all([this.#login?.client.close(), ...[...this.#retiring.keys()].map((client) => client.close())])
  }

  async #begin (indexes: Index[]) {
    await this.#connection.loaded
    for (let attempt = 0; !this.#closed && !this.#login; attempt++) {
      if (attempt > 0) await sleep(backoff(attempt))
      // The one before may work where the newest does not
      for (const version of this.#connection.validVersions()) {
        if (await this.#take(version)) break
      }
    }
    if (!this.#closed) this.#createIndexes(indexes).catch((err) => this.#log.error({ err }, 'indexes are missing'))
  }

  /** Lets the newest connection string take over, as soon as it connects. */
  #renew () {
    this.#renewing ??= this.#takeNewest().finally(() => { this.#renewing = undefined })
    return this.#renewing
  }

  async #takeNewest () {
    await this.connected
    for (let attempt = 0; !this.#closed; attempt++) {
      const [newest] = this.#connection.validVersions()
      if (!newest || newest.id === this.#login?.version) return
      // Another may be the newest when this one is taken
      if (!await this.#take(newest)) await sleep(backoff(attempt, MAX_RENEWAL_BACKOFF_MS))
    }
  }

  /** Whether another login took over from one that the server refuses: it was one of a connection string that is no more. */
  async #hasNewLogin (refused: Login | undefined, giveUp: number) {
    if (this.#login === refused) {
      const renewed = this.#connection.refresh().then(() => this.#renew())
      await withTimeout(giveUp - performance.now(), renewed, () => new DatabaseUnavailable()).catch(() => {})
    }
    return this.#login !== refused
  }

  /** Whether work is done with `version` from now on. */
  async #take ({ id, value: connection }: Version<string>) {
    const client = this.#clientOf(connection)
    const db = client.db(this.#name)
    try {
      // Without it, the driver would keep to a topology that its first failure closed
      await client.connect()
      await db.command({ ping: 1 })
    } catch (err) {
      client.close().catch(() => {})
      if (!this.#closed) this.#log.warn({ err, version: id }, 'the database does not answer yet')
      return false
    }
    if (this.#closed) await client.close()
    else this.#takeOver({ version: id, client, db })
    return true
  }

  #takeOver (login: Login) {
    if (this.#login) {
      const { client } = this.#login
      this.#retiring.set(client, setTimeout(() => {
        this.#retiring.delete(client)
        client.close().catch(() => {})
      }, DRAIN_MS).unref())
    }
    this.#login = login
  }

  #clientOf (connection: string) {
    const client = new MongoClient(connection, {
      appName: this.#name,
      monitorCommands: telemetryEnabled(),
      writeConcern: { w: 'majority', journal: true },
      retryWrites: false, // Cosmos DB has none; `run` repeats what may be repeated, on every server alike
      maxPoolSize: 64,
      maxIdleTimeMS: 120_000, // Azure's load balancer forgets an idle connection after 4 minutes
      connectTimeoutMS: 4_000,
      // Short, since `run` waits itself: a write must not start in the driver long after its caller was told 503
      serverSelectionTimeoutMS: 500,
      waitQueueTimeoutMS: 500,
      socketTimeoutMS: 4_500
    })
    if (telemetryEnabled()) traceCommands(client)
    return client
  }

  // One at a time, so that a server which lacks one kind (a TTL, say) still has the others
  async #createIndexes (indexes: Index[]) {
    for (const { collection, key, options } of indexes) {
      if (this.#closed) return
      try {
        await this.run(() => this.collection(collection).createIndex(key, options))
      } catch (err) {
        if (!this.#closed) this.#log.warn({ err, collection, index: key }, 'index not created')
      }
    }
  }
}

declare module 'fastify' {
  interface FastifyInstance { database: Database }
}

/** Decorates the app with its `database`, closed with the app. */
export const database = fp<{ connection: Secret<string>, name: string, indexes: Index[] }>(async (app, { connection, name, indexes }) => {
  const database = new Database(connection, name, indexes, app.log)
  app.decorate('database', database)
  app.addHook('onClose', () => database.close())
}, { name: 'database' })

/** A hook that lets requests wait for a database that is just starting, as long as their caller does. */
export function waitForDatabase (request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction) {
  const { is404, server: { database } } = request
  if (database.ready || is404) done()
  else withTimeout(STARTING_MS - reply.elapsedTime, database.connected, () => new DatabaseUnavailable()).then(() => done(), done)
}

export function isDuplicateKey (error: unknown) {
  return error instanceof MongoServerError && error.code === DUPLICATE_KEY
}

/** Whether work failed for a passing reason: it may or may not have been done, and may be tried again. */
export function isTransient (error: unknown) {
  if (!(error instanceof MongoError)) return false
  return error.code === THROTTLED || TRANSIENT_CODES.has(error.code) || error.hasErrorLabel('RetryableWriteError') ||
    TRANSIENT.some((type) => error instanceof type) || error.name === 'MongoWaitQueueTimeoutError' // a class that the driver keeps to itself
}

function asDriverError (thrown: unknown) {
  if (!(thrown instanceof Error) || !SOCKET_CODES.has((thrown as NodeJS.ErrnoException).code)) return thrown
  return new MongoNetworkError(thrown.message, { cause: thrown })
}

function waitBeforeRetry (error: MongoError, attempt: number) {
  if (error.code === THROTTLED) {
    const [, asked = 0] = /RetryAfterMs=(\d+)/.exec(error.message) ?? []
    return Math.max(Number(asked), backoff(attempt))
  }
  if (isTransient(error) || error.code === AUTHENTICATION_FAILED) return backoff(attempt)
}

function backoff (attempt: number, most = 1_000) {
  return Math.min(most, 25 * 2 ** attempt) * (0.5 + Math.random() / 2)
}

function unavailable (cause: Error) {
  return Object.assign(new DatabaseUnavailable(), { cause })
}
