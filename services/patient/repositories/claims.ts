import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { isDuplicateKey, type Database, type Index } from '#common/database.ts'

const CLAIMS = 'claims'
export const CLAIM_LIFETIME_MS = 24 * 60 * 60 * 1_000

/** The first request gives up after 5 s; what it left undone then, a repeat finishes. */
export const UNDER_WAY_MS = 5_000

/** What an Idempotency-Key stands for. It holds no health data. */
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
  owner: { replica: string, run: string }
  done: boolean
  expires: Date
}

// Cosmos DB knows no TTL index on a field of one's own: expiry is checked on read, and this only cleans up
export const claimIndexes: Index[] = [{ collection: CLAIMS, key: { expires: 1 }, options: { expireAfterSeconds: 0 } }]

const owner = { replica: hostname(), run: randomUUID() }

export class Claims {
  #database: Database

  constructor (database: Database) {
    this.#database = database
  }

  find (id: string) {
    return this.#database.run(() => this.#collection.findOne({ _id: id, _shardKey: id, expires: { $gt: new Date() } }))
  }

  /** The claim, now held by this request; nothing where another holds it. */
  async take (wanted: Pick<Claim, '_id' | 'body' | 'audit' | 'id'>): Promise<Claim | undefined> {
    const now = new Date()
    const claim: Claim = { ...wanted, _shardKey: wanted._id, lastUpdated: now, owner, done: false, expires: new Date(now.getTime() + CLAIM_LIFETIME_MS) }
    try {
      // Takes the place of an expired one, if any; one in force lets the upsert fail
      await this.#database.run(() => this.#collection.replaceOne({ ...keyOf(claim), expires: { $lte: now } }, claim, { upsert: true }))
    } catch (error) {
      if (!isDuplicateKey(error)) throw error
      // It may be in force because an earlier sending of this very write got through
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

/** Whether the request that took the claim can be taken for dead: its time is over, or its replica runs anew. */
export function isAbandoned ({ owner: { replica, run }, lastUpdated }: Claim) {
  return Date.now() - lastUpdated.getTime() > UNDER_WAY_MS || (replica === owner.replica && run !== owner.run)
}

function keyOf ({ _id, _shardKey }: Claim) {
  return { _id, _shardKey }
}
