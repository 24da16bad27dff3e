import type { StoredRecord } from '#common/audit-record.ts'
import type { Database } from '#common/database.ts'
import { BLOCKS, type Block } from './register.ts'

const MAX_ATTEMPTS = 1_000
/** The ids in one query. */
const MAX_IDS = 200

/**
 * The attempts under the id `replica` of a process without a record of their outcome: neither a failure or
 * success nor what was disclosed afterwards. A failure in doubt is no outcome. Oldest first, at most 1,000.
 *
 * They are found by ids alone. The records of several replicas have dates of several clocks.
 *
 * @throws {DatabaseUnavailable}
 */
export async function attemptsWithoutOutcome (database: Database, replica: string) {
  const records = { $filter: { input: '$records', cond: { $eq: ['$$this.replica', replica] } } }
  const pipeline = [{ $match: { 'records.replica': replica } }, { $project: { records } }]
  const blocks = await database.run(() =>
    database.collection(BLOCKS).aggregate<Pick<Block, 'records'>>(pipeline).toArray())
  const attempts = new Map(blocks.flatMap(({ records }) => records)
    .filter(({ outcome }) => !outcome)
    .map((record) => [record.id, record]))
  const ids = [...attempts.keys()]
  for (let first = 0; first < ids.length; first += MAX_IDS) {
    for (const id of await settled(database, ids.slice(first, first + MAX_IDS))) attempts.delete(id)
  }
  const open = [...attempts.values()]
  open.sort((a, b) => a.createdDate.getTime() - b.createdDate.getTime() || (a.id < b.id ? -1 : 1))
  return { attempts: open.slice(0, MAX_ATTEMPTS), more: open.length > MAX_ATTEMPTS }
}

type Outcome = Pick<StoredRecord, 'attemptOf' | 'outcome' | 'replica' | 'disclosed'>

/** Those of `ids` of attempts that have an outcome. */
async function settled (database: Database, ids: string[]) {
  const fields = ['attemptOf', 'outcome', 'replica', 'disclosed'] satisfies Array<keyof Outcome>
  const projection = Object.fromEntries(fields.map((field) => [`records.${field}`, 1]))
  const blocks = await database.run(() => database.collection(BLOCKS)
    .find<{ records: Outcome[] }>({ 'records.attemptOf': { $in: ids } }, { projection }).toArray())
  const isOutcome = ({ outcome, replica, disclosed }: Outcome) => (outcome && !replica) || disclosed
  return blocks.flatMap(({ records }) => records)
    .flatMap((record) => record.attemptOf && isOutcome(record) ? [record.attemptOf] : [])
}
