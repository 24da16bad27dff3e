import { randomBytes, randomUUIDv7 } from 'node:crypto'
import { readdir, rm } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { Binary, type Collection, type Db } from 'mongodb'
import { blockHash, commitmentOf, NO_PREVIOUS } from '#common/transparency/commitment.ts'
import type { Block } from '#common/transparency/documents.ts'
import type { GetNode } from '#common/transparency/tree.ts'
import { lockFile, makeDirectory } from '#common/files.ts'
import { StartError } from '../../system/state.ts'
import { Findings } from '../verify/findings.ts'
import { nodesOf } from '../verify/tiles.ts'
import { registerOf, type Register } from '../verify/verify.ts'
import type { Archive, Hold } from './documents.ts'
import { fileName, FORMAT, type ArchiveHeader } from './files.ts'
import { Holds } from './holds.ts'
import { newestWitnessed, selectBlocks, type Place } from './select.ts'
import { checkFile, publishPart, sha256Of, writePart } from './write.ts'

const CACHED_NODES = 100_000
const REMOVED_BLOCKS = 100

interface Options {
  before: Date
  /** The directory of the files. */
  dir: string
  /** Called with a line of progress, and before each step that changes something. */
  onStep?: (step: string) => void
}

/**
 * Archives old records: writes them to files, reads those back, records the removal in the register and then
 * removes the records. Can end at any point and be started again.
 *
 * @throws {StartError} it cannot go on
 */
export async function archive (db: Db, { before, dir, onStep = () => {} }: Options) {
  const register = registerOf(db)
  makeArchiveDirectory(dir)
  const lock = lockFile(join(dir, 'lock'))
  if (!lock) throw new StartError(`another archive is being written to ${dir}`)
  try {
    for (const name of await readdir(dir)) if (name.endsWith('.part')) await rm(join(dir, name))
    const unfinished = await register.archives.find({ removedDate: { $exists: false } }).toArray()
    for (const one of unfinished) await finish(one, register, dir, db, onStep)
    let count = 0
    for (;;) {
      const next = await writeNext(register, before, dir, db, onStep)
      if (!next) return count
      await finish(next, register, dir, db, onStep)
      count += next.count
    }
  } finally {
    lock.close()
  }
}

/** @throws {StartError} */
function makeArchiveDirectory (dir: string) {
  try {
    makeDirectory(dir)
  } catch (error) {
    throw new StartError(`the directory ${dir} cannot be made (${(error as NodeJS.ErrnoException).code})`)
  }
}

/** Writes the next file and announces it in the database; undefined if nothing is left to archive. */
async function writeNext (
  register: Register, before: Date, dir: string, db: Db, onStep: (step: string) => void
) {
  const witnessed = await newestWitnessed(register)
  if (!witnessed) throw new StartError('no checkpoint is witnessed: nothing can be archived')
  const holds = db.collection<Hold>('holds')
  const places = await selectBlocks(register, before, witnessed.size, await Holds.read(holds))
  if (places.length === 0) return undefined
  const { index: first } = places[0]!
  const last = Math.max(...places.map(({ index, count }) => index + count - 1))
  const file = fileName(first, last)
  const path = join(dir, file)
  const keys = (await register.logKeys.find().toArray()).toSorted((a, b) => +a.date - +b.date)
  const header: ArchiveHeader = {
    format: FORMAT,
    checkpoint: witnessed.note,
    keys: keys.map(({ _id: vkey, note }) => ({ vkey, ...note && { note } }))
  }
  onStep('write')
  await writePart(path, places, header, register, nodeCache(register))
  onStep('publish')
  // Without an announcement, a file of this name was left by a run that ended here
  if (await register.archives.findOne({ file })) throw new StartError(`${file} is archived already`)
  await publishPart(dir, path)
  await checkFile(path, register)
  const announced: Archive = {
    _id: randomUUIDv7(),
    _shardKey: 'archives',
    file,
    sha256: await sha256Of(path),
    count: places.reduce((sum, { count }) => sum + count, 0),
    spans: spansOf(places),
    date: new Date()
  }
  onStep('announce')
  await register.archives.insertOne(announced)
  return announced
}

/** Records what is about to be removed, and removes it. */
async function finish (
  archive: Archive, register: Register, dir: string, db: Db, onStep: (step: string) => void
) {
  const path = join(dir, archive.file)
  const missing = () => { throw new StartError(`${archive.file} is not in ${dir}`) }
  const sha256 = await sha256Of(path).catch(missing)
  if (sha256 !== archive.sha256) throw new StartError(`${archive.file} was changed`)
  const blocks = await checkFile(path, register)
  onStep('record')
  await recordRemoval(register, archive)
  for (let i = 0; i < blocks.length; i += REMOVED_BLOCKS) {
    onStep('remove')
    await remove(register, blocks.slice(i, i + REMOVED_BLOCKS), db.collection<Hold>('holds'))
  }
  onStep('finish')
  await register.archives.updateOne({ _id: archive._id }, { $set: { removedDate: new Date() } })
}

async function remove (
  { blocks }: Register, some: Array<{ _id: string, chain: string }>, holds: Collection<Hold>
) {
  // A hold that was set meanwhile keeps its records in the database too
  const held = await Holds.read(holds)
  const stored = await blocks.find({ _id: { $in: some.map(({ _id }) => _id) } }).toArray()
  for (const block of stored) {
    if (held.concern(block)) continue
    await blocks.deleteOne({ _id: block._id, _shardKey: block._shardKey })
  }
}

/** Stores the record of the removal, once, in a chain of its own. */
async function recordRemoval ({ blocks, chains }: Register, { _id: id, sha256, count }: Archive) {
  if (await blocks.findOne({ 'records.id': id }, { projection: { _id: 1 } })) return
  const now = new Date()
  const chain = randomUUIDv7()
  const record = {
    id,
    seq: 1,
    createdDate: now,
    operationId: randomBytes(16).toString('hex'),
    sourceSystemName: 'register',
    resource: { type: 'audit-record', id: sha256, operation: 'archive' },
    actor: userInfo().username,
    count,
    salt: new Binary(randomBytes(16))
  }
  const common = { _shardKey: chain, chain, from: now, to: now }
  const block: Block =
    { _id: `${chain}:1`, ...common, firstSeq: 1, previous: new Binary(NO_PREVIOUS), records: [record] }
  const previous = new Binary(blockHash(block, [commitmentOf(record)]))
  await chains.insertOne({ _id: chain, _shardKey: chain, startedDate: now, ended: false })
  await blocks.insertOne(block)
  await blocks.insertOne({ _id: `${chain}:2`, ...common, firstSeq: 2, previous, records: [], end: true })
}

/** The records of blocks, by chain, as few spans as there can be. */
function spansOf (places: Place[]) {
  const spans = new Map<string, Array<Archive['spans'][number]>>()
  for (const { _id, count } of places) {
    const colon = _id.lastIndexOf(':')
    const [chain, from] = [_id.slice(0, colon), Number(_id.slice(colon + 1))]
    const own = spans.get(chain) ?? []
    const last = own.at(-1)
    if (last && last.to + 1 === from) last.to += count
    else own.push({ chain, from, to: from + count - 1 })
    spans.set(chain, own)
  }
  return [...spans.values()].flat()
}

/** Nodes of the stored tiles: the proofs of neighbours have most of them in common. */
function nodeCache ({ tiles }: Register): GetNode {
  const fail = new Findings(({ text }) => { throw new StartError(`${text}; run register:verify`) })
  const getNode = nodesOf(tiles, fail)
  const cache = new Map<string, Promise<Buffer>>()
  return (level, index) => {
    const key = `${level}/${index}`
    if (cache.size > CACHED_NODES) cache.clear()
    return cache.getOrInsertComputed(key, () => getNode(level, index))
  }
}
