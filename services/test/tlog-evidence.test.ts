import t, { type Test } from 'tap'
import type { StoredCheckpoint } from '#common/transparency/documents.ts'
import { cosignerOf, formatNote, parseNote, signerOf, type Signer } from '#common/transparency/notes.ts'
import { audit, logKey, record } from '../audit/test/app.ts'
import { sha256, sha256sum, unzipped, type Pack } from '../audit/test/evidence/packs.ts'
import { sequenced } from '../audit/test/log/log.ts'
import { buildPrograms, missingGo } from './tlog/programs.ts'

// As .taprc has it, for a run without it: the first build downloads and compiles the modules
t.setTimeout(600_000)

const skip = await missingGo()
if (skip) t.plan(0, skip)
else t.test('Go accepts the packs of the audit service, and no forged one', checkPacks)

async function checkPacks (t: Test) {
  const { checkPack } = await buildPrograms(t)
  const { db, get, post } = await audit(t)
  const [id, other] = ['3f0d5a0e-4a34-4f0b-9d3f-9f6c5a3b1c11', '4f0d5a0e-4a34-4f0b-9d3f-9f6c5a3b1c12']
  const disclosed = [id, other].map((id) => ({ id, version: '1' }))
  const resource = { type: 'patient', operation: 'search' }
  await post(record({ actor: 'ward-7', resource: { ...resource, id }, disclosed: disclosed.slice(0, 1) }))
  await post(record({ actor: 'ward-7', resource, disclosed }))
  await sequenced(db, 2)
  const witness = cosignerOf('example.org/witness', Buffer.alloc(32, 'w'))
  const checkpoints = db.collection<StoredCheckpoint>('checkpoints')
  const { _id, text } = (await checkpoints.findOne({}, { sort: { _id: -1 } }))!
  const cosigned = { cosignatures: [witness.sign(text)], witnessedDate: new Date() }
  await checkpoints.updateOne({ _id }, { $set: cosigned })

  const signer = signerOf('audited-patient-api/register', Buffer.from(logKey, 'base64url'))
  const keys = [signer.vkey, witness.vkey]
  const packOf = async (path: string) => await unzipped(t, (await get(path)).rawPayload)
  const date = (hour: number) => new Date(Date.now() + hour * 3_600_000).toISOString()
  // By actor: the question is itself a record about the patient
  const evidence = await packOf(`/audit/evidence?actor=ward-7&from=${date(-1)}&to=${date(1)}`)
  const accounting = await packOf(`/patient/${id}/accounting`)
  t.match(await checkPack(keys, evidence.dir), /^2 records: 2 proven and witnessed by example/)
  t.match(await checkPack(keys, accounting.dir), /^2 records: 2 proven .*\n1 of them are shortened/)
  const stranger = signerOf('audited-patient-api/register', Buffer.alloc(32, 1))
  await t.rejects(checkPack([stranger.vkey, witness.vkey], evidence.dir), /SHA256SUMS: /)
  await refusesForgeries(t, evidence, signer, (dir) => checkPack(keys, dir))
}

/** @param signer the log itself, whose service may be the one that forges */
async function refusesForgeries (
  t: Test, pack: Pack, signer: Signer, check: (dir: string) => Promise<string>
) {
  const [name, sums] = ['records.ndjson', pack.read('SHA256SUMS')]
  const records = pack.read(name)
  const forged = records.replace('"actor":"ward-7"', '"actor":"ward-8"')
  t.not(forged, records)
  pack.write(name, forged)
  t.throws(() => sha256sum(pack))
  await t.rejects(check(pack.dir), /records\.ndjson was changed/)

  pack.write('SHA256SUMS', sums.replace(sha256(records), sha256(forged)))
  t.ok(sha256sum(pack), 'the sums alone do not show it')
  await t.rejects(check(pack.dir), /SHA256SUMS: invalid signature/)

  const { text } = parseNote(pack.read('SHA256SUMS'))
  pack.write('SHA256SUMS', formatNote(text, [signer.sign(text)]))
  await t.rejects(check(pack.dir), /record [0-9a-f-]{36} is not what the log has/)

  pack.write(name, records)
  pack.write('SHA256SUMS', sums)
  t.match(await check(pack.dir), /proven/)
}
