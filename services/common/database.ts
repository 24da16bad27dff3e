import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger, FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import fp from 'fastify-plugin'
import {
  MongoNetworkError, type Collection, type CreateIndexesOptions, type Document, type IndexSpecification
} from 'mongodb'
import { Type } from 'typebox'
import { createClient } from './database-client.ts'
import { DatabaseConnection } from './database-connection.ts'
import {
  isDatabaseFailure, isDuplicateKey, isLoginRefused, isThrottled, retryDelay, toDriverError
} from './database-errors.ts'
import { usesTokens } from './database-mechanism.ts'
import { DatabaseUnavailable } from './http/problems.ts'
import type { Secret, Secrets } from './secrets/secrets.ts'
import { recordMetric } from './telemetry/metrics.ts'
import { STARTING_MS, withTimeout } from './with-timeout.ts'

/** How long an operation is retried. */
const RETRY_MS = 2_500
/**
 * How long an operation is waited for. Each of its commands fails after some seconds, unless the driver waits
 * for a socket that was destroyed (`whenStalled`).
 */
const OPERATION_MS = 30_000

/** The time (of `performance.now`) after which no operation of the current async context starts. */
export const startDeadline = new AsyncLocalStorage<number>()

/** The schema of a setting that holds the name of a database. */
export const databaseName = (name: string) => Type.String({ default: name, pattern: '^[A-Za-z0-9_-]{1,63}$' })

/** Opens the secret `name`, whose versions must be connection strings that the driver can parse. */
export function connectionString (secrets: Secrets, name: string) {
  const derive = (connection: string) => createClient(connection) && connection
  // Without a password, there is nothing to rotate
  return secrets.open(name, derive, undefined, (connection) => !usesTokens(connection))
}

export interface Index {
  collection: string
  key: IndexSpecification
  options?: CreateIndexesOptions
}

interface DatabaseOptions {
  connection: Secret<string>
  name: string
  indexes: Index[]
}

/** A database on any server with the MongoDB API that Cosmos DB and MongoDB have in common. */
export class Database {
  #connection: DatabaseConnection
  #log: FastifyBaseLogger

  constructor ({ connection, name, indexes }: DatabaseOptions, log: FastifyBaseLogger) {
    this.#log = log
    this.#connection = new DatabaseConnection(connection, name, log)
    this.connected.then(() => this.#createIndexes(indexes))
  }

  /** Fulfilled when the database has answered for the first time. */
  get connected () { return this.#connection.connected }
  get ready () { return this.#connection.login !== undefined }

  /** @throws {DatabaseUnavailable} before the first connection */
  collection<T extends Document> (name: string): Collection<T> {
    const { login } = this.#connection
    if (!login) throw new DatabaseUnavailable()
    return login.db.collection<T>(name)
  }

  /**
   * Runs an idempotent operation. Temporary failures are retried with backoff, and throttling after the delay
   * that the server requests, for at most `RETRY_MS` and not after `startDeadline`.
   *
   * @throws {DatabaseUnavailable} if the database fails; errors that the operation itself causes as they are
   */
  async run<T> (operation: () => Promise<T>): Promise<T> {
    const deadline = startDeadline.getStore() ?? Infinity
    const retryUntil = Math.min(deadline, performance.now() + RETRY_MS)
    if (performance.now() > deadline) throw new DatabaseUnavailable()
    for (let attempt = 0; ; attempt++) {
      const { login } = this.#connection
      try {
        return await withTimeout(OPERATION_MS, operation(), () => new MongoNetworkError('no answer'))
      } catch (thrown) {
        const error = toDriverError(thrown)
        if (!isDatabaseFailure(error)) throw error
        if (isLoginRefused(error) && await this.#connection.replace(login, retryUntil)) continue
        if (isThrottled(error)) recordMetric('database.throttled', 1)
        const delay = retryDelay(error, attempt)
        if (delay === undefined || performance.now() + delay > retryUntil) {
          throw Object.assign(new DatabaseUnavailable(), { cause: error })
        }
        recordMetric('database.retries', 1, { 'error.type': String(error.code ?? error.name) })
        this.#log.warn({ err: error, delay, attempt }, 'retrying a database operation')
        await sleep(delay)
      }
    }
  }

  /**
   * Inserts a document with a unique `_id` exactly once, however often it has to be sent. `sent` means that
   * an earlier call may have inserted it already.
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

  close () {
    return this.#connection.close()
  }

  // One by one, so that a server that does not support one of them (TTL, for example) still gets the others
  async #createIndexes (indexes: Index[]) {
    for (const { collection, key, options } of indexes) {
      if (this.#connection.closed) return
      try {
        await this.run(() => this.collection(collection).createIndex(key, options))
      } catch (err) {
        if (this.#connection.closed) return
        this.#log.warn({ err, collection, index: key }, 'cannot create an index')
      }
    }
  }
}

declare module 'fastify' {
  interface FastifyInstance { database: Database }
}

/** Decorates the app with its `database` and closes it with the app. */
export const database = fp<DatabaseOptions>(async (app, options) => {
  const database = new Database(options, app.log)
  app.decorate('database', database)
  app.addHook('onClose', () => database.close())
}, { name: 'database' })

/** A hook that holds requests until the first connection, for at most `STARTING_MS`. */
export function waitForDatabase (
  { is404, server: { database } }: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction
) {
  if (database.ready || is404) return done()
  const timeLeft = STARTING_MS - reply.elapsedTime
  withTimeout(timeLeft, database.connected, () => new DatabaseUnavailable()).then(() => done(), done)
}
