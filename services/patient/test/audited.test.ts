import { setTimeout as sleep } from 'node:timers/promises'
import t, { test } from 'tap'
import { audited } from '../audited.ts'
import type { AuditClient, AuditEntry } from '../audit-client.ts'
import { write } from '../interactions.ts'
import type { AttemptToFind } from '../reconciler/evidence.ts'
import type { Heartbeat } from '../reconciler/heartbeat.ts'
import { hasFailPoints } from '../../common/test/mongo.ts'
import { service } from '../../common/test/service.ts'
import { ada, patient, unknownId } from './app.ts'

// Each has a database of its own, and some wait most of the time
t.jobs = 4

// Tests that run at once must not share an object
const embeddedOnly = () => hasFailPoints ? {} : { skip: 'needs fail points' }

const heartbeat = {
  begin: () => ({ replica: unknownId, since: new Date() }), end () {}, isHeld: () => true
} as unknown as Heartbeat
const find = async () => 'failure' as const

test('a route that does not say what it audits stops the start', async (t) => {
  await t.rejects(service(t, (app) => {
    app.register(async (guarded) => {
      await guarded.register(audited, { audit: {} as AuditClient, heartbeat, find })
      guarded.get('/patient/export', async () => 'everything')
    })
  }), { message: 'GET /patient/export does not say what it audits' })
})

test('a write is recorded first, and the document carries the record', async (t) => {
  const { call, records, stored } = await patient(t)
  const origin = { 'x-audit-client-address': '192.0.2.1', 'x-audit-request-id': 'r1' }
  const created = await call('POST', '/patient', ada, origin)
  const { id } = created.json()
  const [record] = await records()
  t.match(record, {
    sourceSystemName: 'patient',
    resource: { type: 'patient', id, operation: 'create' },
    actor: 'a-subscription',
    clientAddress: '192.0.2.1',
    requestId: 'r1'
  })
  t.equal((await stored()).patients[0]!._audit, record!.id)
  t.equal(created.headers.etag, `"${record!.id}"`)
})

test('every record of a request says on whose behalf and why', async (t) => {
  const { call, records } = await patient(t)
  const caller = { onBehalfOf: 'dr-1', purpose: 'BTG', reason: 'no other way to know' }
  const sent = {
    'x-on-behalf-of': caller.onBehalfOf,
    'x-purpose-of-use': caller.purpose,
    'x-purpose-reason': caller.reason
  }
  const { id } = (await call('POST', '/patient', ada, sent)).json()
  await call('GET', `/patient/${id}`, undefined, sent)
  await call('PUT', `/patient/${unknownId}`, ada, sent)
  await call('POST', '/patient/search', {}, sent)
  const stored = await records()
  t.equal(stored.length, 5)
  for (const record of stored) t.match(record, caller)
  await call('GET', `/patient/${id}`)
  t.notOk('purpose' in (await records()).at(-1)!)
})

test('a request with malformed headers of the caller does nothing', async (t) => {
  const { call, records, logs } = await patient(t)
  for (const header of ['x-on-behalf-of', 'x-purpose-of-use', 'x-purpose-reason']) {
    const answer = await call('POST', '/patient', ada, { [header]: 'a secret' })
    t.match(answer.json(), { status: 400, code: 'INVALID_CALLER', detail: new RegExp(`^${header} `, 'i') })
    t.notMatch(answer.body, /secret/)
  }
  t.strictSame(await records(), [])
  t.notMatch(logs(), /secret/)
  const unauthorized = { 'x-on-behalf-of': 'a secret', 'x-functions-key': 'another-key-than-the-one' }
  t.equal((await call('GET', `/patient/${unknownId}`, undefined, unauthorized)).statusCode, 401)
})

test('a refused write has a second record that says so', async (t) => {
  const { call, records } = await patient(t)
  t.equal((await call('PUT', `/patient/${unknownId}`, ada)).statusCode, 404)
  const [attempt, failure] = await records()
  t.match(attempt!.resource, { type: 'patient', id: unknownId, operation: 'update' })
  const resource = { id: unknownId, operation: 'update' }
  t.match(failure, { outcome: 'failure', attemptOf: attempt!.id, resource })
})

test('a read is recorded with the versions it discloses, or that it found nothing', async (t) => {
  const { call, records } = await patient(t)
  const { id } = (await call('POST', '/patient', ada)).json()
  const { headers: { etag } } = await call('GET', `/patient/${id.toUpperCase()}`)
  await call('GET', `/patient/${unknownId}`)
  await call('GET', '/patient/no-uuid')
  await call('POST', '/patient/search', { lastName: ada.lastName, gender: 'male' })
  const [, found, missing, noUuid, search] = await records()
  const version = JSON.parse(etag as string)
  t.match(found, { resource: { id, operation: 'load' }, disclosed: [{ id, version }] })
  t.match(missing, { resource: { id: unknownId }, disclosed: [], outcome: undefined })
  t.match(noUuid, { resource: { id: undefined }, disclosed: [] })
  t.match(search, { criteria: ['lastName', 'gender'], disclosed: [] })
  t.notMatch(JSON.stringify(await records()), /Lovelace|no-uuid/)
})

test('without a record nothing is written or disclosed', embeddedOnly(), async (t) => {
  const { call, stored, failAudit } = await patient(t)
  const { id } = (await call('POST', '/patient', ada)).json()
  const before = await stored()
  await failAudit('alwaysOn', { failCommands: ['insert'], errorCode: 13 })
  for (const [method, path, body] of [
    ['POST', '/patient', ada], ['PUT', `/patient/${id}`, ada],
    ['PATCH', `/patient/${id}`, { postCode: 'AAAA' }],
    ['DELETE', `/patient/${id}`], ['GET', `/patient/${id}`], ['GET', `/patient/${unknownId}`],
    ['POST', '/patient/search', {}], ['GET', `/patient/${id}/tests`]
  ] as const) {
    const answer = await call(method, path, body)
    t.match(answer.json(), { status: 503, code: 'AUDIT_UNAVAILABLE' }, `${method} ${path}`)
    t.equal(answer.headers['retry-after'], '1')
    t.notMatch(answer.body, /Augusta|Lovelace/)
  }
  t.same(await stored(), before)
})

test('a write that the database refuses is a 503 with a record of the failure', embeddedOnly(), async (t) => {
  const { call, stored, failCommand, records } = await patient(t)
  await failCommand({ times: 1 }, { failCommands: ['insert'], errorCode: 13 })
  t.match((await call('POST', '/patient', ada)).json(), { status: 503, code: 'DATABASE_UNAVAILABLE' })
  const [attempt, failure] = await records()
  t.match(failure, { outcome: 'failure', attemptOf: attempt!.id })
  t.same((await stored()).patients, [])
})

test('a read that the database refuses is a 503 with a record of the failure', embeddedOnly(), async (t) => {
  const { call, failCommand, records } = await patient(t)
  await failCommand('alwaysOn', { failCommands: ['find'], errorCode: 13 })
  const answer = await call('POST', '/patient/search', {})
  t.match(answer.json(), { status: 503, code: 'DATABASE_UNAVAILABLE' })
  t.match(await records(), [{ outcome: 'failure', disclosed: [], resource: { operation: 'search' } }])
})

test('a refusal that cannot be recorded is a 503', embeddedOnly(), async (t) => {
  const { call, failAudit, records } = await patient(t)
  await failAudit({ skip: 1 }, { failCommands: ['insert'], errorCode: 13 })
  const refused = await call('PUT', `/patient/${unknownId}`, ada)
  t.match(refused.json(), { status: 503, code: 'AUDIT_UNAVAILABLE' })
  await failAudit('off', {})
  const [attempt, failure] = await untilThere(async () => {
    const found = await records()
    return found.length >= 2 ? found : undefined
  })
  t.match(failure, { outcome: 'failure', attemptOf: attempt!.id })
})

test('a write that ends after its response has a failure only if it fails', async (t) => {
  const acts = {
    good: Promise.withResolvers<void>(),
    bad: Promise.withResolvers<void>(),
    applied: Promise.withResolvers<void>()
  }
  const kept = new Set<object>()
  const watched = {
    ...heartbeat,
    keep () {
      const attempt = heartbeat.begin()
      kept.add(attempt)
      return attempt
    },
    end: (attempt: object) => kept.delete(attempt)
  } as unknown as Heartbeat
  const findOne = async ({ resource: { id } }: AttemptToFind) => id === 'applied' ? 'success' : 'failure'
  const entries: AuditEntry[] = []
  const audit = { record: async (_id: string, entry: AuditEntry) => { entries.push(entry) } }
  const { app } = await service(t, async (app) => {
    const parts = { audit: audit as unknown as AuditClient, heartbeat: watched, find: findOne }
    await app.register(audited, parts)
    for (const [id, { promise }] of Object.entries(acts)) {
      app.audited({
        method: 'POST',
        url: `/${id}`,
        schema: {},
        audit: { type: 'patient', operation: 'create' },
        handler: () => write({ id, act: () => promise, answer: () => id })
      })
    }
  })
  const urls = Object.keys(acts).map((id) => `/${id}`)
  const answers = await Promise.all(urls.map((url) => app.inject({ method: 'POST', url })))
  t.strictSame(answers.map(({ statusCode }) => statusCode), [503, 503, 503])
  t.equal(entries.length, 3, 'it is not known yet whether they fail')
  acts.good.resolve()
  acts.bad.reject(new Error('refused'))
  acts.applied.reject(new Error('no answer'))
  await app.close()
  const replica = unknownId
  const outcomes = entries.slice(3).map(({ resource, outcome, replica }) => [resource.id, outcome, replica])
  t.strictSame(outcomes, [
    ['bad', 'failure', replica],
    ['applied', 'failure', replica],
    ['applied', 'success', undefined]
  ])
  t.equal(kept.size, 1, 'another process finds whether it was applied later')
})

test('an attempt whose record comes late has a failure in the end', embeddedOnly(), async (t) => {
  const { call, stored, failAudit, records } = await patient(t)
  await call('POST', '/patient', ada)
  const before = await stored()
  await failAudit({ times: 1 }, { failCommands: ['insert'], blockConnection: true, blockTimeMS: 3_000 })
  t.match((await call('POST', '/patient', ada)).json(), { status: 503, code: 'AUDIT_UNAVAILABLE' })
  t.same(await stored(), before)
  const [, attempt, failure] = await untilThere(async () => {
    const found = await records()
    return found.length >= 3 ? found : undefined
  })
  const { id: attemptOf, resource } = attempt!
  t.match(failure, { outcome: 'failure', attemptOf, resource, actor: 'a-subscription' })
})

test('a failure that the register refuses is sent until it is stored', embeddedOnly(), async (t) => {
  const { app, call, failAudit, failCommand, records } = await patient(t)
  const { id } = (await call('POST', '/patient', ada)).json()
  await failCommand({ times: 1 }, { failCommands: ['insert'], errorCode: 13 })
  await failAudit({ skip: 1 }, { failCommands: ['insert'], errorCode: 13 })
  const failed = await call('POST', '/patient', ada)
  t.match(failed.json(), { status: 503, code: 'DATABASE_UNAVAILABLE' }, 'the code of the first failure')
  t.match((await call('GET', `/patient/${id}`)).json(), { status: 503, code: 'AUDIT_UNAVAILABLE' })
  await failAudit('off', {})
  const stored = await untilThere(async () => {
    const found = await records()
    return found.length >= 4 ? found : undefined
  })
  const [, attempt, ...failures] = stored
  t.equal(failures.filter(({ outcome }) => outcome === 'failure').length, 2)
  t.ok(failures.some(({ attemptOf }) => attemptOf === attempt!.id))
  await app.close()
  t.equal((await records()).length, 4)
})

test('what waits is sent when the service closes', embeddedOnly(), async (t) => {
  const { app, call, failAudit, failCommand, records } = await patient(t)
  await call('POST', '/patient', ada)
  await failCommand({ times: 1 }, { failCommands: ['insert'], errorCode: 13 })
  await failAudit({ skip: 1 }, { failCommands: ['insert'], errorCode: 13 })
  await call('POST', '/patient', ada)
  await sleep(2_000)
  await failAudit('off', {})
  await app.close()
  const [, attempt, failure] = await records()
  t.match(failure, { outcome: 'failure', attemptOf: attempt!.id })
})

async function untilThere<T> (find: () => Promise<T | undefined>): Promise<T> {
  for (const giveUp = Date.now() + 60_000; Date.now() < giveUp; await sleep(50)) {
    const found = await find()
    if (found) return found
  }
  throw new Error('not there')
}
