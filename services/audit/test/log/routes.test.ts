import { test } from 'tap'
import { parseCheckpoint, parseProof } from '../../../common/transparency/checkpoints.ts'
import { commitmentOf } from '../../../common/transparency/commitment.ts'
import {
  cosignerOf, parseNote, parseVerifierKey, verifiedSignatures
} from '../../../common/transparency/notes.ts'
import { leafHash, rootOfInclusion } from '../../../common/transparency/tree.ts'
import { CheckpointStore } from '../../log/checkpoint-store.ts'
import { audit, hostKey, record } from '../app.ts'
import { checkLog, sequenced } from './log.ts'
import { Binary } from 'mongodb'

const ACCEPT_JSON = { accept: 'application/json' }

test('checkpoints, tiles and keys are served as tlog-tiles has them', async (t) => {
  const { app, db, get, post } = await audit(t)
  t.equal((await get('/log/checkpoint')).statusCode, 404, 'before the first record')
  await Promise.all(Array.from({ length: 300 }, () => post(record())))
  await sequenced(db, 300)
  const checkpoint = await get('/log/checkpoint')
  t.equal(checkpoint.headers['content-type'], 'text/plain; charset=utf-8')
  t.equal(checkpoint.headers['cache-control'], 'no-cache')
  const note = parseNote(checkpoint.body)
  const vkey = (await get('/log/keys')).body.trim()
  t.equal(verifiedSignatures(note, [parseVerifierKey(vkey)]).length, 1)
  const { size, origin } = parseCheckpoint(note.text)
  t.same([size, origin], [300, 'audited-patient-api/register'])

  const { entries } = await checkLog(t, db)
  const leaves = Buffer.concat(entries.map(leafHash))
  const full = await get('/log/tile/0/000')
  t.same(full.rawPayload, leaves.subarray(0, 8_192))
  t.equal(full.headers['content-type'], 'application/octet-stream')
  t.match(full.headers['cache-control'], /max-age=31536000, immutable/)
  t.same((await get('/log/tile/0/001.p/44')).rawPayload, leaves.subarray(8_192))
  t.same((await get('/log/tile/0/001.p/1')).rawPayload, leaves.subarray(8_192, 8_224))
  t.equal((await get('/log/tile/1/000.p/1')).rawPayload.length, 32)
  const bundle = (await get('/log/tile/entries/001.p/44')).rawPayload
  t.same(bundle.subarray(0, 34), Buffer.concat([Buffer.of(0, 32), entries[256]!]))
  t.equal(bundle.length, 44 * 34)
  for (const path of ['0/001', '0/001.p/45', '1/000', '2/000', '0/0', '64/000', '0/000.p/256']) {
    t.equal((await get(`/log/tile/${path}`)).statusCode, 404, path)
  }
  for (const path of ['/log/checkpoint', '/log/keys', '/log/tile/0/000']) {
    t.equal((await app.inject({ url: path, headers: { 'x-functions-key': hostKey } })).statusCode, 401, path)
  }
})

test('a proof shows that the record is in the tree of a signed checkpoint', async (t) => {
  const { db, get, post } = await audit(t)
  const ids = (await Promise.all(Array.from({ length: 120 }, () => post(record()))))
    .map((answer) => answer.json().id)
  await sequenced(db, 120)
  for (const id of [ids[0], ids[64], ids[119]]) {
    const { body, headers } = await get(`/audit/${id}/proof`)
    t.equal(headers['content-type'], 'text/plain; charset=utf-8')
    const answer = (await get(`/audit/${id}/proof`, ACCEPT_JSON)).json()
    t.same(parseProof(answer.proof).index, answer.index)
    t.notOk('salt' in answer.record)
    const { index, hashes, checkpoint } = parseProof(body)
    const { size, root } = parseCheckpoint(parseNote(checkpoint).text)
    const salt = new Binary(Buffer.from(answer.salt, 'base64'))
    const entry = commitmentOf({ ...answer.record, salt })
    t.same(rootOfInclusion(index, size, leafHash(entry), hashes), root)
    t.equal(answer.record.id, id)
    const changed = commitmentOf({ ...answer.record, actor: 'x', salt })
    t.notSame(rootOfInclusion(index, size, leafHash(changed), hashes), root)
  }
  t.equal((await get('/audit/01234567-89ab-7def-8123-456789abcdef/proof')).statusCode, 404)
  t.equal((await get('/audit/no-id/proof')).statusCode, 404)
  const asked = await db.collection('blocks').countDocuments({ 'records.resource.operation': 'proof' })
  t.ok(asked > 0, 'the question is recorded')
})

test('a proof leads to the newest checkpoint that a witness has cosigned', async (t) => {
  const { app, db, get, post } = await audit(t)
  const first = (await post(record())).json().id
  await sequenced(db, 1)
  const store = new CheckpointStore(app.database)
  const [{ _id: size, text }] = [(await store.newestCheckpoint())!]
  const line = cosignerOf('example.org/witness', Buffer.alloc(32, 1)).sign(text)
  await store.addCosignatures(size, [line, line])
  await store.addCosignatures(size, [line])
  t.same((await store.newestWitnessed())?.cosignatures, [line])
  t.equal(await store.lastCosigned('example.org/witness'), size)
  t.equal(await store.lastCosigned('example.org/other'), 0)
  const second = (await post(record())).json().id
  await sequenced(db, 2)
  t.match((await get(`/audit/${first}/proof`)).body, line)
  t.notMatch((await get(`/audit/${second}/proof`)).body, line)
})
