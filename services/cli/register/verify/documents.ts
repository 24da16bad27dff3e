import { hash } from 'node:crypto'
import type { Binary } from 'mongodb'
import canonicalize from 'canonicalize'
import type { StoredRecord } from '#common/audit-record.ts'

// TEMPORARY: replaced by services/audit/log

export type SaltedRecord = StoredRecord & { salt?: Binary }

export interface Block {
  _id: string
  _shardKey: string
  chain: string
  firstSeq: number
  records: SaltedRecord[]
  previous?: Binary
  from?: Date
  to?: Date
  end?: true
}

export interface Span { chain: string, from: number, to: number, end?: true }

export interface Batch {
  _id: number
  _shardKey: string
  count: number
  spans: Span[]
  open: Array<{ chain: string, next: number }>
  date: Date
}

export interface Tile { _id: string, _shardKey: string, width: number, data: Binary }

export interface StoredCheckpoint {
  _id: number
  _shardKey: string
  root: Binary
  text: string
  signatures: string[]
  cosignatures: string[]
  date: Date
  witnessedDate?: Date
}

export interface LogKey { _id: string, date: Date, note?: string }

export interface ChainDocument { _id: string, _shardKey: string, startedDate: Date, ended?: true }

export function commitmentOf ({ salt, ...record }: SaltedRecord) {
  const json = canonicalize(record)!
  return hash('sha256', salt ? Buffer.concat([salt.buffer, Buffer.from(json)]) : json, 'buffer')
}

export function blockHash (previous: Uint8Array, id: string, commitments: Uint8Array[]) {
  return hash('sha256', Buffer.concat([previous, Buffer.from(`${id}\n`), ...commitments]), 'buffer')
}
