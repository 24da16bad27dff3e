import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { Database, Index } from '#common/database.ts'
import { isDuplicateKey } from '#common/database-errors.ts'

const CLAIMS = 'claims'
export const CLAIM_LIFETIME_MS = 24 * 60 * 60 * 1_000

/** The first request ends after 5 s; a repeat then finishes what it left undone. */
export const IN_PROGRESS_MS = 5_000

/** A create with an Idempotency-Key. It holds no health data. */
export interface Claim {
  /** HMAC of scope and key. */
  _id: string
  _shardKey: string
  /** HMAC of the body. */
  body: string
  /** The audit record of the first attempt, which the created document carries. */
  audit: string
  /** What the created document is to have. */
  id: string
  lastUpdated: Date
  owner: { replica: string, run: string, pid?: number }
  done: boolean
  expires: Date
}

// Cosmos DB knows no TTL index on a field of one's own: expiry is checked on read, and this only cleans up
export const claimIndexes: Index[] = [{ collection: CLAIMS, key: { expires: 1 }, options: { expireAfterSeconds: 0 } }]

const owner = { replica: hostname(), run: randomUUID(), pid: process.pid }

export class Claims {
  #database: Database

  constructor (database: Database) {
    this.#database = database
  }

  find (id: string) {
    return this.#database.run(() => this.#collection.findOne({ _id: id, _shardKey: id, expires: { $gt: new Date() } }))
  }

  /** The claim, now held by this request; undefined where another holds it. */
  async take (wanted: Pick<Claim, '_id' | 'body' | 'audit' | 'id'>): Promise<Claim | undefined> {
    const now = new Date()
    const expires = new Date(now.getTime() + CLAIM_LIFETIME_MS)
    const claim: Claim = { ...wanted, _shardKey: wanted._id, lastUpdated: now, owner, done: false, expires }
    try {
      // Replaces an expired claim, if any; a valid one lets the upsert fail
      const expired = { ...keyOf(claim), expires: { $lte: now } }
      await this.#database.run(() => this.#collection.replaceOne(expired, claim, { upsert: true }))
    } catch (error) {
      if (!isDuplicateKey(error)) throw error
      // An earlier attempt of this very write may have got through
      if ((await this.find(claim._id))?.audit !== claim.audit) return undefined
    }
    return claim
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

/** Whether the request that took the claim can finish no more: its time is over, or its process has ended. */
export function isAbandoned ({ owner, lastUpdated }: Claim) {
  return Date.now() - lastUpdated.getTime() > IN_PROGRESS_MS || hasEnded(owner)
}

/** Whether a process of this host has ended; false where it is another host's, or not known. */
function hasEnded ({ replica, run, pid }: Claim['owner']) {
  if (replica !== owner.replica || run === owner.run || pid === undefined) return false
  // A container's processes have the same id after each start
  if (pid === process.pid) return true
  try {
    process.kill(pid, 0)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}

function keyOf ({ _id, _shardKey }: Claim) {
  return { _id, _shardKey }
}
