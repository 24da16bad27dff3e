import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Db } from 'mongodb'
import t from 'tap'
import { mongo } from '../../../common/test/mongo.ts'
import { audit, record } from '../../../audit/test/app.ts'
import { sequenced } from '../../../audit/test/log/log.ts'
import type { Block, StoredCheckpoint } from '#common/transparency/documents.ts'
import { cosignerOf, formatNote, parseVerifierKey } from '#common/transparency/notes.ts'
import { archive } from '../archive/archive.ts'
import { Findings } from '../verify/findings.ts'
import { registerOf, verifyRegister, type Options } from '../verify/verify.ts'

t.setTimeout(600_000)

const CLIENTS = 8
const ROUNDS = 10
/** Between two records of a client, so that verifying them does not take ever longer. */
const PAUSE_MS = 20
const witness = cosignerOf('example.org/witness', randomBytes(32))
const witnesses = [parseVerifierKey(witness.vkey)]

async function findingsIn (db: Db, options: Partial<Options> = {}) {
  const all: string[] = []
  const findings = new Findings(({ kind, text }) => all.push(`${kind}: ${text}`))
  const defaults = { keys: [], witnesses: [], kept: [], graceMs: 120_000 }
  const summary = await verifyRegister(registerOf(db), { ...defaults, ...options }, findings)
  return { all, summary }
}

/** Cosigns the newest checkpoint, as a witness does. */
async function cosignNewest (db: Db) {
  const checkpoints = db.collection<StoredCheckpoint>('checkpoints')
  const { _id, text, signatures } = (await checkpoints.findOne({}, { sort: { _id: -1 } }))!
  const cosignatures = [witness.sign(text)]
  await checkpoints.updateOne({ _id }, { $set: { cosignatures, witnessedDate: new Date() } })
  return { size: _id, name: 'kept', note: formatNote(text, [...signatures, ...cosignatures]) }
}

t.test('a register in use has no finding, nor one whose replicas have ended', async (t) => {
  const database = await mongo(t)
  const { db } = database
  const dir = await mkdtemp(join(tmpdir(), 'archive-'))
  t.teardown(() => rm(dir, { recursive: true }))
  const replicas = [await audit(t, database), await audit(t, database)]
  let posted = 0
  const posting = new AbortController()
  const clients = Array.from({ length: CLIENTS }, async (_, i) => {
    for (; !posting.signal.aborted; posted++) {
      const { statusCode } = await replicas[i % 2]!.post(record({ actor: `client-${i}` }))
      if (statusCode !== 201) throw new Error(`answer ${statusCode}`)
      await sleep(PAUSE_MS)
    }
  })

  await sequenced(db, 1)
  const kept = []
  for (let round = 0; round < ROUNDS; round++) {
    kept.push(await cosignNewest(db))
    const running = findingsIn(db, { kept, witnesses, archive: dir })
    if (round === ROUNDS / 2) t.ok(await archive(db, { before: new Date(), dir }) > 0)
    const { all, summary } = await running
    t.strictSame(all, [])
    t.ok(summary.size >= kept.at(-1)!.size)
  }
  posting.abort()
  await Promise.all(clients)
  for (const { app } of replicas) await app.close()

  const { all, summary } = await findingsIn(db, { kept, archive: dir, graceMs: 0 })
  // The record of the removal, unless it was sequenced before the replicas ended
  const waiting = posted + 1 - summary.size
  t.ok([0, 1].includes(waiting), `${waiting}`)
  t.equal(summary.waiting, waiting)
  t.match(all, Array(waiting).fill(/^not sequenced: record 1 of chain /))
  t.equal(all.length, waiting)
  const again = await audit(t, database)
  await sequenced(db, posted + 1)
  t.strictSame((await findingsIn(db, { kept, archive: dir, graceMs: 0 })).all, [])
  await again.app.close()
})

t.test('what was stored before there was a log is checked too', async (t) => {
  const database = await mongo(t)
  const { db } = database
  const records = Array.from({ length: 3 }, (_, i) => ({
    ...record(),
    id: `id-${i}`,
    seq: i + 1,
    createdDate: new Date(1_700_000_000_000 + i),
    operationId: '0'.repeat(32)
  }))
  const old = { _id: 'old:1', _shardKey: 'old', chain: 'old', firstSeq: 1, records }
  await db.collection<Block>('blocks').insertOne(old as never)
  const { app, post } = await audit(t, database)
  await post(record())
  await sequenced(db, 4)
  const { all, summary } = await findingsIn(db)
  t.strictSame(all, [])
  t.equal(summary.size, 4)
  await app.close()
  await db.collection<Block>('blocks').updateOne({ _id: 'old:1' }, { $set: { records: records.slice(0, 2) } })
  t.match((await findingsIn(db)).all.join('\n'), /record missing: record 3 of chain old /)
})
