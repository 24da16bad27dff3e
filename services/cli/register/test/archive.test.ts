import { execFile } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { mongo } from '../../../common/test/mongo.ts'
import type { Block } from '#common/transparency/documents.ts'
import { cosignerOf, signerOf } from '#common/transparency/notes.ts'
import { archive } from '../archive/archive.ts'
import type { Archive, Hold } from '../archive/documents.ts'
import { Findings } from '../verify/findings.ts'
import { registerOf, verifyRegister } from '../verify/verify.ts'
import { ORIGIN, writeLog } from './written-log.ts'

const RECORDS = 600
/** The steps are the same for fewer records. */
const KILLED_RECORDS = 150
const KILLED = fileURLToPath(import.meta.resolve('./archive-killed.ts'))
const run = promisify(execFile)
const signer = signerOf(ORIGIN, randomBytes(32))
const witness = cosignerOf('example.org/witness', randomBytes(32))
const { connection, db: { client } } = await mongo(t)
const before = new Date(Date.now() - 3_600_000)

t.test('a directory that cannot be made ends the command with one line', async (t) => {
  const { db, dir } = await written(t)
  await writeFile(join(dir, 'file'), '')
  for (const wrong of ['/proc/x', '/proc/x/y', join(dir, 'file'), join(dir, 'file', 'below')]) {
    await t.rejects(archive(db, { before, dir: wrong }), {
      name: 'StartError', message: /^the directory .* cannot be made \(E[A-Z]+\)$/
    })
  }
})

/** A register whose records are a day old, and a directory for its archive. */
async function written (t: Test, records = RECORDS) {
  const db = client.db(`test-${randomUUID()}`)
  const dir = await mkdtemp(join(tmpdir(), 'archive-'))
  t.teardown(async () => {
    await db.dropDatabase()
    await rm(dir, { recursive: true })
  })
  await writeLog(db, { records, blockRecords: 10, batchBlocks: 5, chains: 3, signer, witness })
  const blocks = db.collection<Block>('blocks')
  const stored = async () => (await blocks.find().toArray()).flatMap(({ records }) => records)
  return {
    db,
    dir,
    blocks,
    /** The ids of the records of the log that are stored. */
    stored: async () =>
      (await stored()).filter(({ resource }) => resource.type === 'patient').map(({ id }) => id),
    removals: async () => (await stored()).filter(({ resource }) => resource.operation === 'archive'),
    /** The ids of the records that are archived. */
    archived: async () => (await linesIn(dir)).map(({ record }) => record.id),
    found: async (archive?: string) => {
      const all: string[] = []
      const options = { keys: [], witnesses: [], kept: [], graceMs: 60_000, archive }
      const findings = new Findings(({ kind, text }) => all.push(`${kind}: ${text}`))
      const summary = await verifyRegister(registerOf(db), options, findings)
      return { all, summary }
    }
  }
}

async function filesIn (dir: string) {
  return (await readdir(dir)).filter((name) => name.endsWith('.ndjson')).map((name) => join(dir, name))
}

async function linesIn (dir: string) {
  const texts = await Promise.all((await filesIn(dir)).map((path) => readFile(path, 'utf8')))
  return texts.flatMap((text) => text.trimEnd().split('\n').slice(1).map((line) => JSON.parse(line)))
}

t.test('old records move to a file, and are verified there', async (t) => {
  const { db, dir, stored, removals, archived, found } = await written(t)
  const ids = await stored()
  t.equal(await archive(db, { before, dir }), RECORDS)
  t.strictSame(await stored(), [])
  t.strictSame((await archived()).sort(), ids.sort())
  const both = await found(dir)
  t.strictSame(both.all, [])
  t.equal(both.summary.unread, 0)
  const alone = await found()
  t.strictSame(alone.all, [])
  t.equal(alone.summary.unread, RECORDS)

  const [named] = await db.collection<Archive>('archives').find().toArray()
  const resource = { type: 'audit-record', id: named!.sha256, operation: 'archive' }
  t.match(await removals(), [{ actor: String, count: RECORDS, resource }])
  t.equal(await archive(db, { before, dir }), 0, 'nothing is left to archive')
})

t.test('records that are newer, not witnessed or held stay', async (t) => {
  const { db, dir, blocks, stored, archived, found } = await written(t)
  const [held] = (await blocks.find().sort({ to: 1 }).toArray())[3]!.records
  const holds = db.collection<Hold>('holds')
  await holds.insertOne({ _id: `patient ${held!.resource.id}`, _shardKey: 'holds', date: new Date() })
  const late = { _id: { $gt: 500 as never } }
  await db.collection('checkpoints').updateMany(late, { $unset: { witnessedDate: 1 } })
  const middle = (await blocks.find().sort({ to: 1 }).toArray())[20]!.to
  await archive(db, { before: middle, dir })
  t.equal((await archived()).length, 190)
  t.ok((await stored()).includes(held!.id))
  t.strictSame((await found(dir)).all, [])

  await archive(db, { before, dir })
  t.equal((await archived()).length, 490, 'up to the last witnessed entry')
  t.ok((await stored()).includes(held!.id))
  await holds.deleteMany({})
  await archive(db, { before, dir })
  t.equal((await archived()).length, 500)
  t.notOk((await stored()).includes(held!.id))
  t.equal((await filesIn(dir)).length, 3)
  t.strictSame((await found(dir)).all, [], 'files whose entries overlap')
})

t.test('changed archives are found', async (t) => {
  const { db, dir, blocks, found } = await written(t)
  await archive(db, { before, dir })
  const [path] = await filesIn(dir)
  const text = await readFile(path!, 'utf8')
  const lines = text.split('\n')

  await writeFile(path!, text.replace('"operation":"load"', '"operation":"read"'))
  t.match((await found(dir)).all, [/^archive differs: record 1 of chain \S+ \(entry 0, id \S+\)$/])
  await writeFile(path!, lines.toSpliced(33, 1).join('\n'))
  t.match((await found(dir)).all, [/^record missing: record 13 of chain \S+ \(entry 32\)$/])
  await writeFile(path!, lines.with(33, '{').join('\n'))
  t.match((await found(dir)).all, [/^archive differs: \S+: line 34 is damaged$/, /^record missing: records /])
  await rm(path!)
  t.match((await found(dir)).all[0], /^archive differs: register-0+-0+599\.ndjson is not in the directory$/)

  await blocks.deleteMany({ 'records.resource.operation': 'archive' })
  t.match((await found()).all, [/^archive differs: the register has no record of register-/])
  await db.collection('archives').deleteMany({})
  t.ok((await found()).all.some((line) => line.startsWith('record missing')))
})

t.test('a file that does not prove its records removes none', async (t) => {
  const { db, dir, blocks, stored } = await written(t)
  const [block] = await blocks.find().sort({ to: 1 }).toArray()
  const records = block!.records.with(4, { ...block!.records[4]!, actor: 'another' })
  await blocks.updateOne({ _id: block!._id }, { $set: { records } })
  const message = `block ${block!._id} is not what the log commits to; run register:verify`
  await t.rejects(archive(db, { before, dir }), { message })
  t.equal((await stored()).length, RECORDS)
})

t.test('killed before any step and run again, it loses nothing and doubles nothing', async (t) => {
  const steps = await (async () => {
    const { db, dir } = await written(t, KILLED_RECORDS)
    return Number((await run(process.execPath, [KILLED, connection, db.databaseName, dir])).stdout)
  })()
  t.ok(steps >= 6, `${steps} steps`)
  for (let step = 1; step <= steps; step++) {
    const { db, dir, stored, removals, archived, found } = await written(t, KILLED_RECORDS)
    const ids = await stored()
    const killed = run(process.execPath, [KILLED, connection, db.databaseName, dir, String(step)])
    t.match(await killed.catch((error) => error), { signal: 'SIGKILL' })
    const known = new Set([...await stored(), ...await archived()])
    t.strictSame([...known].sort(), ids.sort(), `killed at ${step}`)
    t.strictSame((await found(dir)).all, [])
    await archive(db, { before, dir })
    t.strictSame(await stored(), [])
    t.strictSame((await archived()).sort(), ids.sort(), 'each is archived once')
    t.equal((await removals()).length, 1)
    t.strictSame((await found(dir)).all, [])
  }
})
