import { randomBytes, randomUUID } from 'node:crypto'
import { Binary, type Db, type Document } from 'mongodb'
import t, { type Test } from 'tap'
import { mongo } from '../../../common/test/mongo.ts'
import { cosignerOf, formatNote, parseVerifierKey, signerOf } from '#common/transparency/notes.ts'
import type {
  Batch, Block, LogKey, SaltedRecord, Span, StoredCheckpoint
} from '#common/transparency/documents.ts'
import { Findings, type Finding } from '../verify/findings.ts'
import { registerOf, verifyRegister, type Options } from '../verify/verify.ts'
import { ORIGIN, recordOf, rewriteLog, writeLog } from './written-log.ts'

const RECORDS = 1_200
const signer = signerOf(ORIGIN, randomBytes(32))
const witness = cosignerOf('example.org/witness', randomBytes(32))
const { db: first } = await mongo(t)
const { client } = first
const EVERYTHING = { keys: [], witnesses: [], kept: [], graceMs: 60_000 }

/** A register of three chains in a database of its own. */
async function written (t: Test, options: Partial<Parameters<typeof writeLog>[1]> = {}) {
  const db = client.db(`test-${randomUUID()}`)
  t.teardown(() => db.dropDatabase())
  const shape = { records: RECORDS, blockRecords: 10, batchBlocks: 5, chains: 3, signer, witness }
  const { chains, entries } = await writeLog(db, { ...shape, ...options })
  const blocks = db.collection<Block>('blocks')
  return {
    db,
    blocks,
    entries,
    chains,
    /** Block `n` of the first chain. */
    block: async (n: number) => (await blocks.findOne({ _id: `${chains[0]!.id}:${n * 10 + 1}` }))!,
    found: (options: Partial<Options> = {}) => findingsIn(db, options)
  }
}

async function findingsIn (db: Db, options: Partial<Options> = {}) {
  const all: Finding[] = []
  const summary = await verifyRegister(
    registerOf(db), { ...EVERYTHING, ...options }, new Findings((finding) => all.push(finding)))
  return { all, kinds: [...new Set(all.map(({ kind }) => kind))], summary }
}

async function keptOf (db: Db, size: number) {
  const { text, signatures, cosignatures } =
    (await db.collection<StoredCheckpoint>('checkpoints').findOne({ _id: size }))!
  return { name: 'kept', note: formatNote(text, [...signatures, ...cosignatures]) }
}

t.test('a register as it was written has no finding', async (t) => {
  const { db, found } = await written(t)
  const trusted = {
    keys: [parseVerifierKey(signer.vkey)],
    witnesses: [parseVerifierKey(witness.vkey)],
    kept: [await keptOf(db, 50), await keptOf(db, 600), await keptOf(db, RECORDS)]
  }
  const { all, summary } = await found(trusted)
  t.strictSame(all, [])
  t.match(summary, { first: 0, end: RECORDS, size: RECORDS, waiting: 0, unread: 0 })
  t.match(summary.witnessed, [{ name: 'example.org/witness', isChecked: true, size: RECORDS }])
})

t.test('a part of it has none, and is checked against all checkpoints', async (t) => {
  const { db, found } = await written(t)
  const dates = await db.collection('batches').find().sort({ _id: 1 }).toArray()
  const range = { from: dates[10]!.date as Date, to: dates[16]!.date as Date }
  const kept = [await keptOf(db, 50), await keptOf(db, 750), await keptOf(db, RECORDS)]
  const { all, summary } = await found({ ...range, kept })
  t.strictSame(all, [])
  t.match(summary, { first: 500, end: 800 })
  const rest = await found({ from: dates[16]!.date as Date })
  t.strictSame(rest.all, [])
  t.match(rest.summary, { first: 800, end: RECORDS })
})

type Case = [name: string, tamper: (log: Awaited<ReturnType<typeof written>>) => unknown, found: RegExp[]]

const changed = (records: SaltedRecord[], i: number, fields: Partial<SaltedRecord>) =>
  records.with(i, { ...records[i]!, ...fields })
const cases: Case[] = [
  ['a field is changed', async ({ blocks, block }) => {
    const { _id, records } = await block(7)
    await blocks.updateOne({ _id }, { $set: { records: changed(records, 3, { actor: 'another' }) } })
  }, [/^record differs: record 74 of chain \S+ \(entry 213, id [0-9a-f-]{36}\)$/]],
  ['a salt is changed', async ({ blocks, block }) => {
    const { _id, records } = await block(7)
    const salt = new Binary(randomBytes(16))
    await blocks.updateOne({ _id }, { $set: { records: changed(records, 3, { salt }) } })
  }, [/^record differs: record 74 /]],
  ['a record is removed from a block', async ({ blocks, block }) => {
    const { _id, records } = await block(7)
    await blocks.updateOne({ _id }, { $set: { records: records.toSpliced(4, 1) } })
  }, [/^record missing: record 75 of chain \S+ \(entry 214\)$/]],
  ['the last record is removed from a block', async ({ blocks, block }) => {
    const { _id, records } = await block(7)
    await blocks.updateOne({ _id }, { $set: { records: records.slice(0, -1) } })
  }, [/^chain broken: block \S+ has dates/, /^record missing: record 80 /]],
  ['a block is removed', async ({ blocks, block }) => {
    await blocks.deleteOne({ _id: (await block(7))._id })
  }, [/^record missing: records 71 to 80 of chain \S+ \(entries 210 to 219\)$/]],
  ['the tail is removed', async ({ blocks, chains }) => {
    await blocks.deleteMany({ chain: chains[0]!.id, firstSeq: { $gt: 380 } })
  }, [/^record missing: records 381 to 390 /, /^record missing: records 391 to 400 /]],
  ['a chain is removed, with its announcement', async ({ db, blocks, chains }) => {
    await blocks.deleteMany({ chain: chains[1]!.id })
    await db.collection<{ _id: string }>('chains').deleteOne({ _id: chains[1]!.id })
  }, Array(40).fill(/^record missing: records \d*1 to \d+0 of chain /)],
  ['a block is inserted between others', async ({ blocks, block }) => {
    const one = await block(7)
    await blocks.insertOne({ ...one, _id: `${one.chain}:75`, firstSeq: 75 })
  }, [/^block inserted: block \S+:75 is not where chain/]],
  ['a block is inserted before the first', async ({ blocks, block }) => {
    const one = await block(0)
    await blocks.insertOne({ ...one, _id: `${one.chain}:-9`, firstSeq: -9 })
  }, [/^block inserted: block \S+:-9 is not where chain/]],
  ['a block is inserted in the last place', async ({ blocks, block }) => {
    const one = await block(7)
    const records = one.records.slice(0, 1)
    await blocks.insertOne({ ...one, _id: `${one.chain}:400`, firstSeq: 400, records })
  }, [/^block inserted: block \S+:400 is not where chain/]],
  ['a chain is inserted', async ({ blocks, block }) => {
    const one = await block(0)
    await blocks.insertOne({ ...one, _id: 'ffff:1', chain: 'ffff' })
  }, [/^block inserted: chain ffff is not announced$/, /^not sequenced: records 1 to 10 of chain ffff, stored /]],
  ['records are swapped', async ({ blocks, block }) => {
    const { _id, records } = await block(7)
    const [a, b] = [records[2]!, records[5]!]
    const swapped = changed(changed(records, 2, { ...b, seq: a.seq }), 5, { ...a, seq: b.seq })
    await blocks.updateOne({ _id }, { $set: { records: swapped } })
  }, [/^record differs: record 73 /, /^record differs: record 76 /]],
  ['records change places', async ({ blocks, block }) => {
    const { _id, records } = await block(7)
    await blocks.updateOne({ _id }, { $set: { records: records.with(2, records[5]!).with(5, records[2]!) } })
  }, [/^chain broken: block \S+ has records out of order$/]],
  ['a link is changed', async ({ blocks, block }) => {
    const previous = new Binary(randomBytes(32))
    await blocks.updateOne({ _id: (await block(7))._id }, { $set: { previous } })
  }, [/^chain broken: block \S+:71 does not follow/]],
  ['the dates of a block are changed, which searches use', async ({ blocks, block }) => {
    await blocks.updateOne({ _id: (await block(7))._id }, { $set: { from: new Date(0), to: new Date(1) } })
  }, [/^chain broken: block \S+:71 has dates/]],
  ['a batch is removed', async ({ db }) => {
    await db.collection<{ _id: number }>('batches').deleteOne({ _id: 500 })
  }, [/^batch differs: no batch has the entries from 500 to 549$/]],
  ['the last batch is removed, with its checkpoint', async ({ db }) => {
    await db.collection<{ _id: number }>('batches').deleteOne({ _id: 1_150 })
    await db.collection<{ _id: number }>('checkpoints').deleteOne({ _id: 1_200 })
  }, Array.from({ length: 5 }, () => /^not sequenced: records \d+ to \d+ of chain \S+, stored /)],
  ['the last checkpoint is removed', async ({ db }) => {
    await db.collection<{ _id: number }>('checkpoints').deleteOne({ _id: 1_200 })
  }, [/^not sequenced: no checkpoint has the entries from 1150 on, added /]],
  ['a span is changed', async ({ db }) => {
    const batches = db.collection<Batch>('batches')
    const [span, ...spans] = (await batches.findOne({ _id: 500 }))!.spans as [Span, ...Span[]]
    await batches.updateOne({ _id: 500 }, { $set: { spans: [{ ...span, from: span.from + 1 }, ...spans] } })
  }, [/^batch differs: batch 500 has chain \S+ from record \d+ instead of record \d+$/,
    /^batch differs: batch 500 has 49 entries instead of 50$/, ...Array(5).fill(/^record differs: records /)]],
  ['an entry of a tile is changed', async ({ db }) => {
    const tiles = db.collection<{ _id: string, data: Binary }>('tiles')
    const { data } = (await tiles.findOne({ _id: '0/3' }))!
    data.buffer[33]! ^= 1
    await tiles.updateOne({ _id: '0/3' }, { $set: { data } })
  }, [/^tile differs: record \d+ of chain \S+ \(entry 769, id /]],
  ['a tile is removed', async ({ db }) => {
    await db.collection<{ _id: string }>('tiles').deleteOne({ _id: '0/3' })
  }, [/^tile differs: entry 768 is missing$/]],
  ['a tile of hashes is changed', async ({ db }) => {
    const tiles = db.collection<{ _id: string, data: Binary }>('tiles')
    const { data } = (await tiles.findOne({ _id: '1/0' }))!
    data.buffer[33]! ^= 1
    await tiles.updateOne({ _id: '1/0' }, { $set: { data } })
  }, [/^tile differs: tile 1\/0$/]],
  ['the signature of a checkpoint is changed', async ({ db }) => {
    const checkpoints = db.collection<StoredCheckpoint>('checkpoints')
    const { signatures: [line] } = (await checkpoints.findOne({ _id: 500 }))!
    await checkpoints.updateOne({ _id: 550 }, { $set: { signatures: [line!] } })
  }, [/^signature invalid: checkpoint 550 is not signed by a key of the log$/]],
  ['the size of a checkpoint is changed', async ({ db }) => {
    const checkpoints = db.collection<StoredCheckpoint>('checkpoints')
    const text = (await checkpoints.findOne({ _id: 500 }))!.text
    await checkpoints.updateOne({ _id: 550 }, { $set: { text } })
  }, [/^signature invalid: checkpoint 550 is not a checkpoint of this size$/]],
  ['a key is added', async ({ db }) => {
    const { vkey } = signerOf(ORIGIN, randomBytes(32))
    await db.collection<Document>('logKeys').insertOne({ _id: vkey as never, date: new Date() })
  }, [/^key unknown: example\.org\/register\+\S+ is not signed by a key before it$/]],
  ['an old service stores unlinked blocks', async ({ blocks }) => {
    const records = [recordOf(1, new Date(0))].map(({ salt, ...record }) => record)
    const [from, to] = [new Date(0), new Date(0)]
    const chain = 'ffff'
    await blocks.insertOne({ _id: 'ffff:1', _shardKey: chain, chain, firstSeq: 1, from, to, records })
  }, [/^not linked: block ffff:1 is not linked and not in the log$/]]
]

for (const [name, tamper, expected] of cases) {
  t.test(`found: ${name}`, async (t) => {
    const log = await written(t)
    await tamper(log)
    const { all } = await log.found()
    const lines = all.map(({ kind, text }) => `${kind}: ${text}`)
    t.match(lines, expected)
    t.equal(lines.length, expected.length, lines.join('\n'))
  })
}

const forge = (blocks: Block[]) => { blocks[50]!.records[3]!.actor = 'another' }
const trusted = { keys: [parseVerifierKey(signer.vkey)], witnesses: [parseVerifierKey(witness.vkey)] }

t.test('whoever has the key and the database is found by what others signed', async (t) => {
  const { db, found } = await written(t)
  const kept = [await keptOf(db, 600), await keptOf(db, RECORDS)]
  await rewriteLog(db, signer, forge, true)
  t.strictSame((await found()).all, [], 'the register alone shows nothing')
  const { all } = await found({ kept })
  t.match(all, [{ kind: 'tree differs', text: /^the entries of the log do not lead to kept, of size/ }])
  const { all: cosigned } = await found(trusted)
  t.match(cosigned[0], { kind: 'signature invalid', text: /^checkpoint \d+ has an invalid cosignature of / })
  await rewriteLog(db, signer, forge, false)
  const { all: unsigned } = await found(trusted)
  t.match(unsigned, [{ kind: 'not witnessed', text: 'no checkpoint is signed by example.org/witness' }])
})

t.test('a log that was cut off is found by a checkpoint that somebody kept', async (t) => {
  const { db, blocks, chains, found } = await written(t)
  const kept = [await keptOf(db, RECORDS)]
  const later = { _id: { $gte: 600 as never } }
  const last = (await db.collection<Batch>('batches').findOne({ _id: 550 }))!
  for (const { chain, next } of last.open) await blocks.deleteMany({ chain, firstSeq: { $gte: next } })
  await db.collection('batches').deleteMany(later)
  await db.collection('checkpoints').deleteMany({ _id: { $gt: 600 as never } })
  t.equal(chains.length, 3)
  t.strictSame((await found()).all, [], 'the register alone shows nothing')
  t.strictSame((await found({ kept })).all, [
    { kind: 'tree differs', text: 'kept has 1200 entries, the log has 600' }
  ])
})

t.test('another key is found by the one that the auditor knows', async (t) => {
  const { db, found } = await written(t)
  const kept = [await keptOf(db, 600)]
  const stranger = signerOf(ORIGIN, randomBytes(32))
  await rewriteLog(db, stranger, forge, false)
  await db.collection('logKeys').deleteMany({})
  await db.collection<LogKey>('logKeys').insertOne({ _id: stranger.vkey, _shardKey: '', date: new Date() })
  const { all } = await found({ keys: trusted.keys })
  t.match(all, [
    { kind: 'key unknown', text: `${stranger.vkey} is not signed by a key before it` },
    { kind: 'key unknown', text: `the log does not have ${signer.vkey}` },
    { kind: 'signature invalid', text: '24 checkpoints from 50 to 1200 are not signed by a key of the log' }
  ])
  t.match((await found({ kept })).kinds, ['signature invalid', 'tree differs'])
})

t.test('a key that the one before it signed is accepted', async (t) => {
  const { db, found } = await written(t)
  const next = signerOf(ORIGIN, randomBytes(32))
  const checkpoints = db.collection<StoredCheckpoint>('checkpoints')
  const { text } = (await checkpoints.findOne({ _id: RECORDS }))!
  await checkpoints.updateOne({ _id: RECORDS }, { $set: { signatures: [next.sign(text)] } })
  const handover = `${ORIGIN}/keys\n${next.vkey}\n`
  const note = formatNote(handover, [signer.sign(handover)])
  await db.collection<LogKey>('logKeys').insertOne({ _id: next.vkey, _shardKey: '', date: new Date(), note })
  t.strictSame((await found(trusted)).all, [])
  const forged = { note: note.replace('/keys', '') }
  await db.collection<LogKey>('logKeys').updateOne({ _id: next.vkey }, { $set: forged })
  t.match((await found(trusted)).kinds, ['key unknown', 'signature invalid'])
})
