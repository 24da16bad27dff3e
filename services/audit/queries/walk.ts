import { repeatFilter, type StoredRecord } from '#common/audit-record.ts'
import type { Database } from '#common/database.ts'
import { collections, type Block, type SaltedRecord } from '#common/transparency/documents.ts'
import {
  blockFilters, compare, edgeOf, matches, positionOf, recordCondition, type Direction, type Position,
  type RecordQuery
} from './query.ts'

const FIRST_BLOCKS = 8
/** A block has up to 1 MiB, and the wanted records of a block mostly far less. */
const MAX_BLOCKS = 128
/** Those of 32 full blocks. */
const MAX_RECORDS = 3_200

/** A block with the records that may be wanted. */
type Found = Pick<Block, '_id' | 'chain' | 'from' | 'to' | 'records'>

/** A record as it is stored, and the chain that has it. */
interface PlacedRecord {
  chain: string
  record: SaltedRecord
}

/** The records of `walkPlaced` without their places. */
export async function * walk (
  database: Database, query: RecordQuery, direction: Direction, after?: Position
): AsyncGenerator<StoredRecord, void, undefined> {
  for await (const { record } of walkPlaced(database, query, direction, after)) yield record
}

/**
 * The records that `query` wants in the order of date and id, after the position `after`, each id once.
 *
 * Blocks overlap, so a record waits until no block that is still to be read can have one before it. Memory
 * does not depend on the number of records. The database is asked for a few blocks at a time, and continues
 * where it ended: no cursor stays open.
 *
 * @throws {DatabaseUnavailable}
 */
export async function * walkPlaced (
  database: Database, query: RecordQuery, direction: Direction, after?: Position
): AsyncGenerator<PlacedRecord, void, undefined> {
  const rest = after ? { ...query, ...restOf(query, direction, after) } : query
  const inOrder = (a: PlacedRecord, b: PlacedRecord) =>
    direction * compare(positionOf(a.record), positionOf(b.record))
  const isWanted = (record: StoredRecord) =>
    matches(record, rest) && (!after || direction * compare(positionOf(record), after) > 0)
  const isFirst = repeatFilter()
  const isNew = ({ record }: PlacedRecord) => isFirst(record)
  let waiting: PlacedRecord[] = []
  for await (const block of mergedBlocks(database, rest, direction)) {
    const edge = block[edgeOf(direction)].getTime()
    const count = waiting.findIndex(({ record }) => direction * (record.createdDate.getTime() - edge) >= 0)
    yield * waiting.splice(0, count < 0 ? waiting.length : count).filter(isNew)
    const wanted = block.records.filter(isWanted).map((record) => ({ chain: block.chain, record }))
    waiting = [...waiting, ...wanted].sort(inOrder)
  }
  yield * waiting.filter(isNew)
}

/** The range of dates that is left after a position. */
function restOf ({ from = 0, to = Infinity }: RecordQuery, direction: Direction, { date }: Position) {
  return direction === 1 ? { from: Math.max(from, date) } : { to: Math.min(to, date + 1) }
}

/** The blocks of all filters of a query in the order of their edges, each once. */
async function * mergedBlocks (database: Database, query: RecordQuery, direction: Direction) {
  const edge = edgeOf(direction)
  const next = async (source: AsyncGenerator<Found, void>) => ({ source, block: (await source.next()).value })
  const sources = blockFilters(query, direction).map((_, i) => blocksOf(database, query, direction, i))
  let heads = await Promise.all(sources.map(next))
  let reached: number | undefined
  let returned = new Set<string>()
  for (;;) {
    heads = heads.filter(({ block }) => block)
      .sort((a, b) => direction * (a.block![edge].getTime() - b.block![edge].getTime()))
    const [first] = heads
    if (!first) return
    const block = first.block!
    if (block[edge].getTime() !== reached) returned = new Set()
    reached = block[edge].getTime()
    if (!returned.has(block._id)) yield block
    returned.add(block._id)
    heads[0] = await next(first.source)
  }
}

/** The blocks of one filter of a query, in the order of their edges. */
async function * blocksOf (
  database: Database, query: RecordQuery, direction: Direction, filter: number
): AsyncGenerator<Found, void> {
  const edge = edgeOf(direction)
  const condition = recordCondition(query)
  const records = condition ? { $filter: { input: '$records', cond: condition } } : 1
  let reached: Date | undefined
  let read: string[] = []
  for (let limit = FIRST_BLOCKS; ;) {
    const unread = reached && { _id: { $nin: read } }
    const pipeline = [
      { $match: { ...blockFilters(query, direction, reached)[filter], ...unread } },
      // By the edge alone, so that an index of a criterion and the edge has the order
      { $sort: { [edge]: direction } },
      { $limit: limit },
      { $project: { chain: 1, from: 1, to: 1, records } }
    ]
    const blocks = await database.run(() => database.collection<Block>(collections.blocks)
      .aggregate<Found>(pipeline, { batchSize: limit }).toArray())
    yield * blocks
    const last = blocks.at(-1)
    if (!last || blocks.length < limit) return
    // Blocks of the same millisecond may be left
    const known = reached?.getTime() === last[edge].getTime() ? read : []
    reached = last[edge]
    const atEdge = blocks.filter((block) => block[edge].getTime() === reached!.getTime())
    read = [...known, ...atEdge.map(({ _id }) => _id)]
    limit = nextLimit(limit, blocks)
  }
}

/** Twice as many blocks as before, but not many more records than a few full blocks have. */
function nextLimit (limit: number, blocks: Found[]) {
  const records = blocks.reduce((sum, block) => sum + block.records.length, 0)
  const wanted = Math.ceil(MAX_RECORDS * blocks.length / Math.max(records, 1))
  return Math.min(2 * limit, MAX_BLOCKS, wanted)
}
