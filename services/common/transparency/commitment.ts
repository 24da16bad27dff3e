import { hash } from 'node:crypto'
import canonicalize from 'canonicalize'
import type { Block, SaltedRecord } from './documents.ts'
import { HASH_BYTES } from './tree.ts'

/** What the first block of a chain has instead of the hash of the block before. */
export const NO_PREVIOUS: Buffer = Buffer.alloc(HASH_BYTES)

/**
 * The entry of a record in the log: the SHA-256 of its salt and of the canonical JSON (RFC 8785) of the
 * record as the API returns it. Records without a salt are older than the log.
 */
export function commitmentOf ({ salt, ...record }: SaltedRecord): Buffer {
  const json = canonicalize(record)!
  return hash('sha256', salt ? Buffer.concat([salt.value(), Buffer.from(json)]) : json, 'buffer')
}

/**
 * The hash of a block, which the next one of its chain has as `previous`.
 *
 * @param commitments of its records
 */
export function blockHash (
  { previous, _id }: Pick<Block, 'previous' | '_id'>, commitments: Uint8Array[]
): Buffer {
  const before = previous?.value() ?? NO_PREVIOUS
  return hash('sha256', Buffer.concat([before, Buffer.from(`${_id}\n`), ...commitments]), 'buffer')
}
