import { randomUUID } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import type { Database, Index } from '#common/database.ts'
import { unlessThere } from '#common/database-errors.ts'
import { keyOf } from './documents.ts'

const CLAIMS = 'claims'
export const CLAIM_LIFETIME_MS = 24 * 60 * 60 * 1_000

/** The first request ends within 5 s. After that, a repeat completes what it did not finish. */
export const IN_PROGRESS_MS = 5_000

/** A create that is done once, for its Idempotency-Key or If-None-Exist. It holds no health data. */
export interface Claim {
  /** HMAC of scope and key. */
  _id: string
  _shardKey: string
  /** HMAC of the body. */
  body: string
  /** The audit record of the first attempt, which the created document carries. */
  audit: string
  /** The id and the date of the created document. */
  id: string
  lastUpdated: Date
  owner: { replica: string, run: string, pid?: number }
  done: boolean
  expires: Date
}

// Cosmos DB has no TTL index on custom fields: expiry is checked on read, the index only removes old claims
export const claimIndexes: Index[] = [
  { collection: CLAIMS, key: { expires: 1 }, options: { expireAfterSeconds: 0 } }
]

/** This process. */
export const owner = { replica: processSpace(), run: randomUUID(), pid: process.pid }

export class Claims {
  #database: Database

  constructor (database: Database) {
    this.#database = database
  }

  find (id: string) {
    return this.#database.run(() => {
      return this.#collection.findOne({ _id: id, _shardKey: id, expires: { $gt: new Date() } })
    })
  }

  /** The claim if this request has taken it; undefined if another request holds it. */
  async take (wanted: Pick<Claim, '_id' | 'body' | 'audit' | 'id'>): Promise<Claim | undefined> {
    const now = new Date()
    const expires = new Date(now.getTime() + CLAIM_LIFETIME_MS)
    const claim: Claim = { ...wanted, _shardKey: wanted._id, lastUpdated: now, owner, done: false, expires }
    // Replaces an expired claim, if any. With a valid claim, the upsert fails
    const expired = { ...keyOf(claim), expires: { $lte: now } }
    const replace = () => this.#collection.replaceOne(expired, claim, { upsert: true })
    if (await unlessThere(this.#database.run(replace))) return claim
    // An earlier attempt of this write may have succeeded
    return (await this.find(claim._id))?.audit === claim.audit ? claim : undefined
  }

  /** Takes or renews a lease for `ms`; false if another process holds it. */
  async lease (name: string, ms: number) {
    const now = new Date()
    const key = { _id: name, _shardKey: name }
    const lease = { ...key, owner, expires: new Date(now.getTime() + ms) }
    const free = { ...key, $or: [{ expires: { $lte: now } }, { 'owner.run': owner.run }] }
    const leases = this.#database.collection<typeof lease>(CLAIMS)
    return await unlessThere(this.#database.run(() => leases.replaceOne(free, lease, { upsert: true })))
  }

  async finish (claim: Claim) {
    await this.#database.run(() => this.#collection.updateOne(keyOf(claim), { $set: { done: true } }))
  }

  async release (claim: Claim) {
    await this.#database.run(() => this.#collection.deleteOne({ ...keyOf(claim), done: false }))
  }

  get #collection () {
    return this.#database.collection<Claim>(CLAIMS)
  }
}

/** Whether the request that took the claim cannot finish it: its time is over or its process has ended. */
export function isAbandoned ({ owner, lastUpdated }: Pick<Claim, 'owner' | 'lastUpdated'>) {
  return Date.now() - lastUpdated.getTime() > IN_PROGRESS_MS || hasEnded(owner)
}

/**
 * Names what process ids are unique in: a host or a container. Containers may have the same host name, and
 * mostly have the same process id.
 */
function processSpace () {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    return `${hostname()} ${boot} ${readlinkSync('/proc/self/ns/pid')}`
  } catch {
    return process.platform === 'linux' ? randomUUID() : hostname()
  }
}

/** Whether a process of this host or container has ended; false if it is of another one, or unknown. */
function hasEnded ({ replica, run, pid }: Claim['owner']) {
  if (replica !== owner.replica || run === owner.run || pid === undefined) return false
  // In a container, the process has the same id after each start
  if (pid === process.pid) return true
  try {
    process.kill(pid, 0)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}
