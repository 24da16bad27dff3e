import { test } from 'tap'
import { audited } from '../audited.ts'
import type { AuditClient } from '../audit-client.ts'
import { hasFailPoints } from '../../common/test/mongo.ts'
import { service } from '../../common/test/service.ts'
import { ada, patient, unknownId } from './app.ts'

const embeddedOnly = hasFailPoints ? {} : { skip: 'needs fail points' }

test('a route that does not say what it audits stops the start', async (t) => {
  await t.rejects(service(t, (app) => {
    app.register(async (guarded) => {
      await guarded.register(audited, { audit: {} as AuditClient })
      guarded.get('/patient/export', async () => 'everything')
    })
  }), { message: 'GET /patient/export does not say what it audits' })
})

test('a write is recorded first, and the document carries the record', async (t) => {
  const { call, records, stored } = await patient(t)
  const created = await call('POST', '/patient', ada, { 'x-audit-client-address': '192.0.2.1', 'x-audit-request-id': 'r1' })
  const { id } = created.json()
  const [record] = await records()
  t.match(record, {
    sourceSystemName: 'patient', resource: { type: 'patient', id, operation: 'create' }, actor: 'a-subscription', clientAddress: '192.0.2.1', requestId: 'r1'
  })
  t.equal((await stored()).patients[0]!._audit, record!.id)
  t.equal(created.headers.etag, `"${record!.id}"`)
})

test('a refused write has a second record that says so', async (t) => {
  const { call, records } = await patient(t)
  t.equal((await call('PUT', `/patient/${unknownId}`, ada)).statusCode, 404)
  const [attempt, failure] = await records()
  t.match(attempt!.resource, { type: 'patient', id: unknownId, operation: 'update' })
  t.match(failure, { outcome: 'failure', attemptOf: attempt!.id, resource: { id: unknownId, operation: 'update' } })
})

test('a read is recorded with the versions it discloses, or that it found nothing', async (t) => {
  const { call, records } = await patient(t)
  const { id } = (await call('POST', '/patient', ada)).json()
  const { headers: { etag } } = await call('GET', `/patient/${id.toUpperCase()}`)
  await call('GET', `/patient/${unknownId}`)
  await call('GET', '/patient/no-uuid')
  await call('POST', '/patient/search', { lastName: ada.lastName, gender: 'male' })
  const [, found, missing, noUuid, search] = await records()
  t.match(found, { resource: { id, operation: 'load' }, disclosed: [{ id, version: JSON.parse(etag as string) }] })
  t.match(missing, { resource: { id: unknownId }, disclosed: [], outcome: undefined })
  t.match(noUuid, { resource: { id: undefined }, disclosed: [] })
  t.match(search, { criteria: ['lastName', 'gender'], disclosed: [] })
  t.notMatch(JSON.stringify(await records()), /Lovelace|no-uuid/)
})

test('without its record nothing is written and nothing is shown', embeddedOnly, async (t) => {
  const { call, stored, failAudit } = await patient(t)
  const { id } = (await call('POST', '/patient', ada)).json()
  const before = await stored()
  await failAudit('alwaysOn', { failCommands: ['insert'], errorCode: 13 })
  for (const [method, path, body] of [
    ['POST', '/patient', ada], ['PUT', `/patient/${id}`, ada], ['PATCH', `/patient/${id}`, { postCode: 'AAAA' }], ['DELETE', `/patient/${id}`],
    ['GET', `/patient/${id}`], ['GET', `/patient/${unknownId}`], ['POST', '/patient/search', {}], ['GET', `/patient/${id}/tests`]
  ] as const) {
    const answer = await call(method, path, body)
    t.match(answer.json(), { status: 503, code: 'AUDIT_UNAVAILABLE' }, `${method} ${path}`)
    t.equal(answer.headers['retry-after'], '1')
    t.notMatch(answer.body, /Augusta|Lovelace/)
  }
  t.same(await stored(), before)
})

test('a write that the database refuses is a 503 with a record of the failure', embeddedOnly, async (t) => {
  const { call, stored, failCommand, records } = await patient(t)
  await failCommand({ times: 1 }, { failCommands: ['insert'], errorCode: 13 })
  t.match((await call('POST', '/patient', ada)).json(), { status: 503, code: 'DATABASE_UNAVAILABLE' })
  const [attempt, failure] = await records()
  t.match(failure, { outcome: 'failure', attemptOf: attempt!.id })
  t.same((await stored()).patients, [])
})
