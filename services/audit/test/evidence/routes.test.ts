import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Binary } from 'mongodb'
import { test, type Test } from 'tap'
import { parseProof } from '../../../common/transparency/checkpoints.ts'
import { commitmentOf } from '../../../common/transparency/commitment.ts'
import { parseNote, parseVerifierKey, verifiedSignatures } from '../../../common/transparency/notes.ts'
import type { Block } from '../../../common/transparency/documents.ts'
import { audit, hostKey, queryKey, record } from '../app.ts'
import { sequenced } from '../log/log.ts'
import { sha256sum, unzipped, type Pack } from './packs.ts'

const PATIENT = '3f0d5a0e-4a34-4f0b-9d3f-9f6c5a3b1c11'
const OTHER = '4f0d5a0e-4a34-4f0b-9d3f-9f6c5a3b1c12'
const caller = { 'x-on-behalf-of': 'reviewer-17', 'x-purpose-of-use': 'HCOMPL' }

/** A patient as the resource of a record. */
const of = (operation: string, id?: string) => ({ type: 'patient', operation, ...(id && { id }) })

const BLOCK_RECORDS = 100

type Service = Awaited<ReturnType<typeof audit>>

const hours = (from: number, to: number) => {
  const date = (hour: number) => encodeURIComponent(new Date(Date.now() + hour * 3_600_000).toISOString())
  return `from=${date(from)}&to=${date(to)}`
}

/** The records of questions, the oldest first. */
async function questionsOf ({ db }: Service) {
  const found = await db.collection('blocks').find().sort({ chain: 1, firstSeq: 1 }).toArray()
  return found.flatMap(({ records }) => records).filter(({ resource }) => resource.type === 'audit-record')
}

/** The pack that is sent for a path. */
async function packOf (t: Test, { get }: Service, path: string) {
  const answer = await get(path, caller)
  t.equal(answer.statusCode, 200, answer.statusCode === 200 ? path : answer.body)
  t.equal(answer.headers['content-type'], 'application/zip')
  t.equal(answer.headers['cache-control'], 'no-store')
  return await unzipped(t, answer.rawPayload)
}

const proofsOf = (pack: Pack) => pack.names().filter((name) => name.startsWith('proofs/'))

/** Checks the sums, and that the log has signed them under the name of evidence. */
async function checkSums (t: Test, pack: Pack, { get }: Service) {
  const ok = sha256sum(pack).trim().split('\n')
  const names = pack.names().filter((name) => name !== 'SHA256SUMS')
  t.same(ok.map((line) => line.replace(': OK', '')).sort(), names)
  const vkey = (await get('/log/keys')).body.trim()
  t.equal(pack.read('keys.txt').trim(), vkey)
  const note = parseNote(pack.read('SHA256SUMS'))
  t.match(note.text, /^audited-patient-api\/register\/evidence\n[0-9a-f]{64} {2}README\.txt\n/)
  t.equal(verifiedSignatures(note, [parseVerifierKey(vkey)]).length, 1)
}

test('a pack has the records that meet the criteria, and what proves them', async (t) => {
  const service = await audit(t)
  const { db, post } = service
  const wanted = Array.from({ length: 5 }, (_, i) => post(record({ actor: 'ward-7', criteria: [`c${i}`] })))
  await Promise.all([...wanted, ...Array.from({ length: 5 }, () => post(record({ actor: 'ward-8' })))])
  await sequenced(db, 10)
  const pack = await packOf(t, service, `/audit/evidence?${hours(-1, 1)}&actor=ward-7`)
  await checkSums(t, pack, service)
  const ids = (await Promise.all(wanted)).map((answer) => answer.json().id).sort()
  t.same(pack.records().map(({ id }) => id).sort(), ids)
  t.same(proofsOf(pack), ids.map((id) => `proofs/${id}.tlog-proof`))
  const rows = pack.rows('entries.csv')
  for (const [i, stored] of pack.records().entries()) {
    const { id, index, record, salt, commitment } = rows[i]!
    t.same([id, record], [stored.id, 'whole'])
    const entry = commitmentOf({ ...stored, salt: new Binary(Buffer.from(salt!, 'hex')) })
    t.equal(commitment, entry.toString('hex'))
    const proof = parseProof(pack.read(`proofs/${id}.tlog-proof`))
    t.equal(String(proof.index), index)
    t.equal(proof.checkpoint, pack.read('checkpoint'))
    t.notOk('salt' in stored)
  }
  t.match(pack.read('README.txt'), /actor: "ward-7"\nRecords: {4}5\n/)
  t.notMatch(pack.read('README.txt'), /Not sequenced yet/)
  t.match(pack.read('README.txt'), /Not witnessed yet/)
  t.match(await questionsOf(service), [{
    resource: { operation: 'evidence' },
    actor: 'an-auditor',
    onBehalfOf: 'reviewer-17',
    purpose: 'HCOMPL',
    criteria: ['from', 'to', 'actor']
  }])
})

const stamp = (id: string, seq: number, operationId: string, createdDate = new Date()) =>
  ({ id, seq, operationId, createdDate })

/** Stores records in a chain that was never announced, so that the log never has them. */
async function storeUnsequenced ({ db }: Service, count: number, more: () => object) {
  const chain = randomUUID()
  const now = Date.now()
  const blocks = Array.from({ length: Math.ceil(count / BLOCK_RECORDS) }, (_, i): Block => {
    const firstSeq = i * BLOCK_RECORDS + 1
    const date = new Date(now + i)
    const records = Array.from({ length: Math.min(BLOCK_RECORDS, count - firstSeq + 1) }, (_, j) =>
      ({ ...record(more()), ...stamp(randomUUID(), firstSeq + j, 'unsequenced', date) }))
    return { _id: `${chain}:${firstSeq}`, _shardKey: chain, chain, firstSeq, from: date, to: date, records }
  })
  await db.collection<Block>('blocks').insertMany(blocks)
}

test('records that the log does not have yet are in the pack and named as such', async (t) => {
  const service = await audit(t)
  const early = (await service.post(record({ actor: 'ward-7' }))).json().id
  await sequenced(service.db, 1)
  await storeUnsequenced(service, 1, () => ({ actor: 'ward-7' }))
  const pack = await packOf(t, service, `/audit/evidence?${hours(-1, 1)}&actor=ward-7`)
  await checkSums(t, pack, service)
  const late = pack.records()[1].id
  t.same(pack.records().map(({ id }) => id), [early, late])
  t.same(pack.rows('entries.csv').map(({ index }) => index), ['0', ''])
  t.match(pack.read('README.txt'), new RegExp(`Not sequenced yet\n-+\n.*\n${late}\n`))
  t.same(proofsOf(pack), [`proofs/${early}.tlog-proof`])
})

test('an accounting has six years of disclosures of one patient, and no other patient', async (t) => {
  const service = await audit(t)
  const { db, get, post } = service
  const versions = [PATIENT, OTHER].map((id) => ({ id, version: `version of ${id}` }))
  const [own] = versions
  const asked = { actor: 'ward-7', onBehalfOf: 'nurse-1138', purpose: 'TREAT', clientAddress: '192.0.2.17' }
  const [loaded, searched] = [
    await post(record({ ...asked, resource: of('load', PATIENT), disclosed: [own] })),
    await post(record({ ...asked, resource: of('search'), criteria: ['lastName'], disclosed: versions })),
    await post(record({ ...asked, resource: of('patch', PATIENT) })),
    await post(record({ ...asked, resource: of('load', PATIENT), disclosed: [], outcome: 'failure' })),
    await post(record({ ...asked, resource: of('load', OTHER), disclosed: [versions[1]] }))
  ].map((answer) => answer.json().id)
  await sequenced(db, 5)
  const before = new Date()
  before.setUTCFullYear(before.getUTCFullYear() - 6, before.getUTCMonth(), before.getUTCDate() - 1)
  await db.collection<Block>('blocks').insertOne({
    _id: 'old:1',
    _shardKey: 'old:1',
    chain: 'old',
    firstSeq: 1,
    from: before,
    to: before,
    records: [{
      ...record({ resource: of('load', PATIENT), disclosed: [own] }),
      ...stamp('old', 1, 'old', before)
    }]
  })

  const pack = await packOf(t, service, `/patient/${PATIENT.toUpperCase()}/accounting`)
  await checkSums(t, pack, service)
  t.same(pack.records().map(({ id }) => id), [loaded, searched])
  t.match(pack.rows('accounting.csv'), [loaded, searched].map((record, i) => ({
    recipient: 'ward-7',
    onBehalfOf: 'nurse-1138',
    recipientAddress: '192.0.2.17',
    disclosed: `patient (${['load', 'search'][i]})`,
    versions: `${PATIENT}/version of ${PATIENT}`,
    purpose: 'TREAT',
    record
  })))
  const [whole, shortened] = pack.rows('entries.csv')
  t.match([whole!.record, shortened!.record], ['whole', 'shortened'])
  t.ok(whole!.salt)
  t.equal(shortened!.salt, '', 'nobody can look for the other patients')
  for (const name of pack.names()) t.notMatch(pack.read(name), OTHER, name)
  const stored = (await get(`/audit/${searched}/proof`, { accept: 'application/json' })).json()
  const salt = new Binary(Buffer.from(stored.salt, 'base64'))
  t.equal(shortened!.commitment, commitmentOf({ ...stored.record, salt }).toString('hex'))
  t.ok(pack.names().includes(`proofs/${searched}.tlog-proof`))
  t.match(pack.read('README.txt'), /164\.528/)
  t.match(await questionsOf(service), [{ resource: { operation: 'accounting', patientId: PATIENT } }, {}])

  const older = await packOf(t, service, `/patient/${PATIENT}/accounting?from=2000-01-01T00:00:00Z`)
  t.same(older.records().map(({ id }) => id), ['old', loaded, searched])
  t.equal((await packOf(t, service, `/patient/${randomUUID()}/accounting`)).read('records.ndjson'), '')
})
test('a question for too much or another format is refused, and nothing is sent', async (t) => {
  const service = await audit(t)
  const { get, app } = service
  const disclosure = () => ({ resource: of('load', PATIENT), disclosed: [{ id: PATIENT, version: '1' }] })
  // The first start of the log would take in what is there before
  await service.post(record())
  await sequenced(service.db, 1)
  await storeUnsequenced(service, 10_000, disclosure)
  const paths = ['/audit/evidence?operationId=unsequenced', `/patient/${PATIENT}/accounting`]
  t.equal((await get(paths[0]!)).statusCode, 200, '10,000 records')
  await storeUnsequenced(service, 1, disclosure)
  for (const path of paths) {
    const answer = await get(path)
    t.equal(answer.statusCode, 413)
    t.equal(answer.json().code, 'TOO_MANY_RECORDS')
    t.equal((await get(path, { accept: 'text/csv' })).statusCode, 406)
    t.equal((await app.inject({ url: path, headers: { 'x-functions-key': hostKey } })).statusCode, 401)
  }
  t.equal((await questionsOf(service)).length, 3, 'those that are refused for their number are recorded')
  const wrong = ['/audit/evidence', `/audit/evidence?${hours(-900, 1)}`, '/audit/evidence?limit=1&id=1',
    `/audit/evidence?${hours(1, -1)}&id=1`, `/patient/${PATIENT}/accounting?actor=x`]
  for (const path of wrong) t.equal((await get(path)).statusCode, 400, path)
  t.equal((await get('/patient/1/accounting')).statusCode, 404)
  t.equal((await questionsOf(service)).length, 3, 'nothing is recorded of what cannot be answered')
})

/** Starts to answer with a pack that is larger than what sockets and streams hold. */
async function largePack (service: Service) {
  await service.post(record())
  await sequenced(service.db, 1)
  await storeUnsequenced(service, 5_000, () => ({ reason: randomBytes(3_000).toString('base64') }))
  await service.app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = service.app.server.address() as AddressInfo
  const headers = { 'x-functions-key': queryKey }
  const path = '/audit/evidence?operationId=unsequenced'
  const request = httpRequest({ host: '127.0.0.1', port, path, headers, agent: false }).end()
  const [response] = await once(request, 'response')
  return response as IncomingMessage
}

test('a pack of which records are removed meanwhile is cut off', async (t) => {
  const service = await audit(t)
  const response = await largePack(service)
  t.equal(response.statusCode, 200)
  await service.db.collection('blocks').deleteMany({ 'records.operationId': 'unsequenced' })
  await t.rejects(response.toArray(), { code: 'ECONNRESET' })
})
