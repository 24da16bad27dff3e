import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { MongoServerError, type Collection, type Filter, type WithId } from 'mongodb'
import { SettingsError } from '#common/config.ts'
import { repeatFilter, withoutRepeats, type StoredRecord } from '#common/audit-record.ts'
import type { Block } from '#common/transparency/documents.ts'
import { openRegister } from './register/connection.ts'
import { header, row } from './register/table.ts'
import { loadConfig } from './system/config.ts'
import { StartError } from './system/state.ts'

const USAGE = `Prints the audit register.

npm run register -- [--patient ID] [--last N] [--follow] [--json]

  --patient ID  only records that concern this patient, or the test result with this id
  --last N      the last N records (default 50)
  --follow      prints new records as they are stored
  --json        whole records, one a line
`

const MAX_LAST = 100_000
const POLL_MS = 1000
/** A chain is one run of one replica, so older chains get no more blocks. */
const WATCHED_CHAINS = 100
const BATCH_BLOCKS = 10
const IN_ORDER = { chain: 1, firstSeq: 1 } as const
const NEWEST_FIRST = { chain: -1, firstSeq: -1 } as const

/** For each chain, the first sequence number of the newest block that was read. */
type Positions = Map<string, number>

// A reader like `head` may close the pipe early
process.stdout.on('error', () => process.exit(0))

try {
  await main()
} catch (error) {
  const { code } = error as NodeJS.ErrnoException
  const expected = error instanceof StartError || error instanceof SettingsError ||
    code?.startsWith?.('ERR_PARSE_ARGS')
  process.stderr.write(`npm run register: ${expected ? (error as Error).message : (error as Error).stack}\n`)
  process.exitCode = 1
}

async function main () {
  const { values: options } = parseArgs({
    options: {
      patient: { type: 'string' },
      last: { type: 'string', default: '50' },
      follow: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false }
    }
  })
  if (options.help) return process.stdout.write(USAGE)
  if (!/^\d{1,6}$/.test(options.last) || Number(options.last) > MAX_LAST) {
    throw new StartError(`--last takes a number up to ${MAX_LAST}`)
  }
  if (options.patient === '') throw new StartError('--patient takes an id')

  const { client, db } = await openRegister(loadConfig(process.env), 'viewer', 'audit-db-viewer-connection')
  try {
    const blocks = db.collection<Block>('blocks')
    const concerns = about(options.patient?.toLowerCase())
    const print = printer(options.json)
    const positions = options.follow ? await tails(blocks) : new Map()
    const isNew = repeatFilter()
    for (const record of await newest(blocks, concerns, Number(options.last), positions)) {
      if (isNew(record)) await print(record)
    }
    if (options.follow) {
      for await (const record of follow(blocks, concerns, positions)) if (isNew(record)) await print(record)
    }
  } finally {
    await client.close()
  }
}

/** Selects blocks and records that concern the patient or test result `id`; all without an id. */
function about (id: string | undefined) {
  if (id === undefined) return { filter: {}, matches: () => true }
  const fields = ['records.resource.id', 'records.resource.patientId', 'records.disclosed.id']
  return {
    filter: { $or: fields.map((field) => ({ [field]: id })) },
    matches: ({ resource, disclosed }: StoredRecord) =>
      resource.id === id || resource.patientId === id || disclosed?.some((one) => one.id === id) === true
  }
}

type Concerns = ReturnType<typeof about>

/**
 * The last `count` records of all chains by date, oldest first. Adds the blocks that it read to `positions`.
 *
 * The records of a chain are in the order of their dates, but an old chain may have newer records than a new
 * one: the newest record of each chain shows whether its blocks must be read. At most about `2 * count`
 * records are in memory.
 */
async function newest (
  blocks: Collection<Block>, { filter, matches }: Concerns, count: number, positions: Positions
) {
  let records: StoredRecord[] = []
  if (count === 0) return records
  let oldest = new Date(0)
  const trim = () => {
    records = last(records, count)
    if (records.length === count) oldest = records[0]!.createdDate
  }
  for await (const { chain, records: newest } of heads(blocks)) {
    if (newest.at(-1)!.createdDate < oldest) continue
    const read = blocks.find({ $and: [{ chain }, filter] }).sort(NEWEST_FIRST).batchSize(BATCH_BLOCKS)
    for await (const block of read) {
      note(positions, block)
      records.push(...block.records.filter(matches))
      if (records.length >= 2 * count) trim()
      // The other blocks of this chain are older
      if (block.records.some(({ createdDate }) => createdDate < oldest)) break
    }
    trim()
  }
  return records
}

/** The newest block of each chain that has records, the newest chain first. */
async function * heads (blocks: Collection<Block>) {
  let before: Filter<Block> = {}
  while (true) {
    // The end of a chain is a block without records
    const head = await blocks.findOne({ ...before, end: { $ne: true } }, { sort: NEWEST_FIRST })
    if (!head) return
    yield head
    before = { chain: { $lt: head.chain } }
  }
}

/** The last `count` records by their date, oldest first, without repeats. */
function last (records: StoredRecord[], count: number) {
  const sorted = records.toSorted((a, b) => a.createdDate.getTime() - b.createdDate.getTime())
  return withoutRepeats(sorted).slice(-count)
}

/** The positions of the newest blocks of the newest chains. */
async function tails (blocks: Collection<Block>) {
  const positions: Positions = new Map()
  for await (const head of heads(blocks)) {
    note(positions, head)
    if (positions.size === WATCHED_CHAINS) break
  }
  return positions
}

/** Records stored after `positions`, polled every second, endlessly. */
async function * follow (blocks: Collection<Block>, { filter, matches }: Concerns, positions: Positions) {
  while (true) {
    try {
      for await (const block of blocks.find({ $and: [beyond(positions), filter] }).sort(IN_ORDER)) {
        note(positions, block)
        yield * block.records.filter(matches)
      }
    } catch (error) {
      if (error instanceof MongoServerError) throw error
      // The connection broke: the next attempt also reads what is stored in the meantime
    }
    await sleep(POLL_MS)
  }
}

/** The blocks after `positions`, and all of other chains: an older one may have its first block late. */
function beyond (positions: Positions): Filter<Block> {
  const chains = [...positions.keys()].sort().slice(-WATCHED_CHAINS)
  const tails = chains.map((chain) => ({ chain, firstSeq: { $gt: positions.get(chain)! } }))
  const between = chains.slice(1).map((chain, i) => ({ chain: { $gt: chains[i]!, $lt: chain } }))
  return { $or: [...tails, ...between, { chain: { $gt: chains.at(-1) ?? '' } }] }
}

function note (positions: Positions, { chain, firstSeq }: Pick<WithId<Block>, 'chain' | 'firstSeq'>) {
  positions.set(chain, Math.max(firstSeq, positions.get(chain) ?? 0))
}

function printer (json: boolean) {
  let day = ''
  const write = async (text: string) => {
    if (!process.stdout.write(`${text}\n`)) await once(process.stdout, 'drain')
  }
  return async (record: StoredRecord) => {
    if (json) return write(JSON.stringify(record))
    const today = record.createdDate.toISOString().slice(0, 10)
    if (today !== day) await write(`${day === '' ? '' : '\n'}${today}\n${header}`)
    day = today
    await write(row(record))
  }
}
