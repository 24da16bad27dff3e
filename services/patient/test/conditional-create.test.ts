import { test } from 'tap'
import { hasFailPoints } from '../../common/test/mongo.ts'
import { ada, patient } from './app.ts'

const embeddedOnly = hasFailPoints ? {} : { skip: 'needs fail points' }

const identifiers = [{ system: 'urn:mrn', value: '42-1' }]
const identified = { ...ada, identifiers }
const header = { 'if-none-exist': 'identifier=urn:mrn|42-1' }

test('with If-None-Exist, a patient with the identifier is returned instead of a second', async (t) => {
  const { call, records, stored } = await patient(t)
  const first = await call('POST', '/patient', identified, header)
  t.equal(first.statusCode, 201)
  const again = await call('POST', '/patient', { ...identified, firstName: 'Another' }, header)
  t.equal(again.statusCode, 200)
  t.equal(again.body, first.body)
  t.equal(again.headers.etag, first.headers.etag)
  t.equal(again.headers['content-location'], first.headers.location)
  const { patients, claims } = await stored()
  t.equal(patients.length, 1)
  t.same(claims, [])
  const { id } = first.json()
  const [attempt, disclosure] = (await records()).slice(-2)
  t.match(disclosure, { attemptOf: attempt!.id, disclosed: [{ id }] })

  await call('POST', '/patient', identified)
  const several = await call('POST', '/patient', identified, header)
  t.match(several.json(), { status: 412, code: 'SEVERAL_PATIENTS' })
})

test('of many at once, one creates', async (t) => {
  const { call, stored } = await patient(t)
  const create = () => call('POST', '/patient', identified, header)
  const all = await Promise.all(Array.from({ length: 12 }, create))
  const statuses = all.map(({ statusCode }) => statusCode).sort()
  t.same(statuses, [...Array(11).fill(200), 201])
  t.equal(new Set(all.map(({ body }) => body)).size, 1)
  t.equal((await stored()).patients.length, 1)
})

test('what a crash left before or after the insert is finished', embeddedOnly, async (t) => {
  for (const step of ['insert', 'delete']) {
    const { call, db, failCommand, stored } = await patient(t)
    await failCommand({ times: 1 }, { failCommands: [step], errorCode: 13 })
    await call('POST', '/patient', identified, header)
    t.equal((await stored()).claims.length, 1, step)
    await db.collection('claims').updateMany({}, { $set: { 'owner.run': 'an earlier one' } })
    const next = await call('POST', '/patient', identified, header)
    t.equal(next.statusCode, step === 'insert' ? 201 : 200, step)
    t.equal((await stored()).patients.length, 1, step)
    await call('DELETE', `/patient/${next.json().id}`)
    t.equal((await call('POST', '/patient', identified, header)).statusCode, 201, 'again after its deletion')
  }
})

test('If-None-Exist names one identifier, which the patient has', async (t) => {
  const { call } = await patient(t)
  const wrong = [
    '', 'name=x', 'identifier=', 'identifier=|42-1', 'identifier=urn:mrn|', 'identifier=urn:mrn|other',
    'identifier=urn:mrn|42-1&identifier=urn:mrn|42-1', 'identifier=42-1'
  ]
  for (const value of wrong) {
    const response = await call('POST', '/patient', identified, { 'if-none-exist': value })
    t.match(response.json(), { status: 400, code: 'INVALID_IF_NONE_EXIST' }, value)
  }
})

test('a patient that is refused keeps nobody waiting', async (t) => {
  const { call, stored } = await patient(t)
  const lines = Array.from({ length: 8 }, () => 'x'.repeat(256))
  const large = { ...identified, addresses: Array.from({ length: 32 }, () => ({ lines })) }
  t.equal((await call('POST', '/patient', large, header)).statusCode, 400)
  t.same((await stored()).claims, [])
  t.equal((await call('POST', '/patient', identified, header)).statusCode, 201)
})
