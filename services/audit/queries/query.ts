import type { Document, Filter } from 'mongodb'
import type { StoredRecord } from '#common/audit-record.ts'
import { BLOCK_SPAN_MS } from '../queue.ts'
import type { Block } from '../register.ts'
import { CRITERION_FIELDS, SUBJECT_FIELDS } from './fields.ts'

/** Ascending or descending. */
export type Direction = 1 | -1

/** The place of a record in the order of answers. */
export interface Position {
  /** In ms since 1970. */
  date: number
  id: string
}

/** Which records are wanted; every criterion has to be met. */
export interface RecordQuery extends Partial<Record<keyof typeof CRITERION_FIELDS, string>> {
  /** The earliest date, and the one before which records are wanted, in ms since 1970. */
  from?: number
  to?: number
  /** A patient, test result or other resource that a record is about, or discloses. */
  id?: string
}

const criteria = Object.entries(CRITERION_FIELDS) as Array<[keyof typeof CRITERION_FIELDS, string]>

/** The edge of a block that gives the order of blocks in a direction: no record of it comes before. */
export const edgeOf = (direction: Direction) => direction === 1 ? 'from' : 'to'

/**
 * Filters of blocks that can hold wanted records: several whose results are to be merged in the order of
 * `edgeOf`, each answered by one index.
 *
 * @param reached the edge of the last block that was read
 */
export function blockFilters (
  query: RecordQuery, direction: Direction, reached?: Date
): Array<Filter<Block>> {
  const { from = 0, to = Infinity, id } = query
  const range = { from: between(from - BLOCK_SPAN_MS, to), to: between(from, to + BLOCK_SPAN_MS) }
  if (reached && direction === 1) range.from.$gte = reached
  if (reached && direction === -1) range.to = { $gte: range.to.$gte, $lte: reached }
  const fields: Filter<Block> = { ...range }
  for (const [criterion, field] of criteria) {
    if (query[criterion] !== undefined) fields[`records.${field}`] = query[criterion]
  }
  if (id === undefined) return [fields]
  return SUBJECT_FIELDS.map((field) => ({ ...fields, [`records.${field}`]: id }))
}

/**
 * An expression with which the database leaves out records of a block, `$$this`, that `matches` would refuse:
 * of a hundred, often one is wanted. Undefined for a query of dates alone.
 */
export function recordCondition ({ id, ...query }: RecordQuery): Document | undefined {
  const conditions: Document[] = criteria.filter(([criterion]) => query[criterion] !== undefined)
    .map(([criterion, field]) => ({ $eq: [`$$this.${field}`, { $literal: query[criterion] }] }))
  if (id !== undefined) {
    const value = { $literal: id }
    const disclosed = { $ifNull: ['$$this.disclosed.id', []] }
    const subjects = ['$$this.resource.id', '$$this.resource.patientId'].map((one) => ({ $eq: [one, value] }))
    conditions.push({ $or: [...subjects, { $in: [value, disclosed] }] })
  }
  return conditions.length > 0 ? { $and: conditions } : undefined
}

function between (from: number, to: number): { $gte: Date, $lt?: Date, $lte?: Date } {
  return { $gte: new Date(Math.max(from, 0)), ...(to < Infinity && { $lt: new Date(to) }) }
}

export function matches (record: StoredRecord, query: RecordQuery) {
  const { from = 0, to = Infinity, id } = query
  const date = record.createdDate.getTime()
  return date >= from && date < to && (id === undefined || isAbout(record, id)) &&
    criteria.every(([criterion, field]) => {
      return query[criterion] === undefined || query[criterion] === valueAt(record, field)
    })
}

function isAbout ({ resource, disclosed }: StoredRecord, id: string) {
  return resource.id === id || resource.patientId === id || disclosed?.some((one) => one.id === id) === true
}

function valueAt (record: StoredRecord, path: string) {
  return path.split('.').reduce((value: unknown, name) => {
    return (value as Record<string, unknown> | undefined)?.[name]
  }, record)
}

export function positionOf ({ createdDate, id }: StoredRecord): Position {
  return { date: createdDate.getTime(), id }
}

/** Negative where `a` comes before `b` in ascending order. */
export function compare (a: Position, b: Position) {
  if (a.date !== b.date) return a.date - b.date
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0
}
