import { test } from 'tap'
import { hasFailPoints } from '../../common/test/mongo.ts'
import { ada, observation, patient, unknownId } from './app.ts'
import { interruptEverywhere } from './interrupted.ts'

const embeddedOnly = hasFailPoints ? {} : { skip: 'needs fail points' }

const DAY_MS = 24 * 60 * 60 * 1_000
const kept = { DELETION_GRACE_DAYS: '30' }

type Running = Awaited<ReturnType<typeof patient>>

/** A patient with a test result, each changed once. */
async function create ({ call }: Pick<Running, 'call'>) {
  const created = await call('POST', '/patient', ada)
  const path = created.headers.location as string
  const { headers: { location } } = await call('POST', `${path}/tests`, { observations: [observation] })
  const test = location as string
  const changed = await call('PATCH', path, { title: 'Countess' })
  await call('PATCH', test, { performer: 'x' })
  const [version, before] = [created, changed].map(({ headers }) => JSON.parse(headers.etag as string))
  return { path, test, changed, version, before }
}

test('a deleted patient is hidden from everything, and restored with all that it had', async (t) => {
  const running = await patient(t, undefined, kept)
  const { call, records } = running
  const { path, test, changed, version, before } = await create(running)
  const [result, lists] = [await call('GET', test), await call('GET', `${test}/versions`)]
  t.equal((await call('DELETE', path)).statusCode, 204)
  await running.app.sweep.run()
  for (const [method, url, body] of [
    ['GET', path], ['GET', `${path}/tests`], ['GET', test], ['GET', `${path}/observations?code=hb`],
    ['GET', `${path}/versions`], ['GET', `${test}/versions`], ['GET', `${path}/versions/${version}`],
    ['PUT', path, ada],
    ['PATCH', path, { title: 'x' }], ['DELETE', path], ['PATCH', test, { performer: 'y' }], ['DELETE', test],
    ['POST', `${path}/tests`, { observations: [observation] }]
  ] as const) {
    const answer = await call(method, url, body)
    t.match(answer.json(), { status: 404, code: 'PATIENT_NOT_FOUND' }, `${method} ${url}`)
  }
  for (const criteria of [{}, { lastName: ada.lastName }, { id: path.split('/')[2] }]) {
    t.same((await call('POST', '/patient/search', criteria)).json(), [])
  }

  const restored = await call('POST', `${path}/restore`)
  t.equal(restored.statusCode, 200)
  const { lastUpdated, ...details } = changed.json()
  t.match(restored.json(), details)
  t.ok(restored.json().lastUpdated > lastUpdated)
  const { id, resource } = (await records()).at(-1)!
  t.match(resource, { type: 'patient', operation: 'restore', id: path.split('/')[2] })
  t.equal(JSON.parse(restored.headers.etag as string), id)
  t.equal((await call('GET', path)).body, restored.body)
  t.equal((await call('GET', test)).body, result.body)
  t.equal((await call('GET', `${test}/versions`)).body, lists.body)
  const versions = (await call('GET', `${path}/versions`)).json() as Array<{ version: string }>
  t.same(versions.map(({ version }) => version), [before, version])
  t.equal((await call('POST', '/patient/search', {})).json().length, 1)

  const again = await call('POST', `${path}/restore`)
  t.equal(again.statusCode, 200)
  t.equal(again.headers.etag, restored.headers.etag)
})

test('a create during the deletion takes back only its own test result', async (t) => {
  const running = await patient(t, undefined, kept)
  const { call } = running
  for (let round = 0; round < 10; round++) {
    const { path, test } = await create(running)
    const [, created] = await Promise.all([
      call('DELETE', path), call('POST', `${path}/tests`, { observations: [observation] })
    ])
    await call('POST', `${path}/restore`)
    const ids = (await call('GET', `${path}/tests`)).json().map(({ id }: { id: string }) => id).sort()
    const expected = [test.split('/').at(-1)]
    if (created.statusCode === 201) expected.push(created.json().id)
    t.same(ids, expected.sort())
  }
})

test('after the days of grace the sweep removes all, and nothing is restored', async (t) => {
  const running = await patient(t, undefined, kept)
  const { app, call, db, stored } = running
  const { path } = await create(running)
  await call('DELETE', path)
  const { sweep } = app
  const age = (days: number) =>
    db.collection('patients').updateOne({}, { $set: { _deleted: new Date(Date.now() - days * DAY_MS) } })
  await age(29)
  await sweep.run()
  t.equal((await stored()).tests.length, 1)
  await age(30)
  t.match((await call('POST', `${path}/restore`)).json(), { status: 404, code: 'PATIENT_NOT_FOUND' })
  await sweep.run()
  const { patients, tests, versions } = await stored()
  t.same([tests, versions], [[], []])
  t.notMatch(JSON.stringify(patients), /Lovelace/)
  t.equal((await call('POST', `${path}/restore`)).statusCode, 404)
})

test('without days of grace a deletion is final and its tombstone has no health data', async (t) => {
  const running = await patient(t)
  const { call, stored } = running
  const { path } = await create(running)
  await call('DELETE', path)
  const { patients, tests, versions } = await stored()
  t.same([tests, versions], [[], []])
  t.same(Object.keys(patients[0]!).sort(), ['_audit', '_deleted', '_finished', '_id', '_shardKey'])
  for (const id of [path, `/patient/${unknownId}`, '/patient/x']) {
    t.match((await call('POST', `${id}/restore`)).json(), { status: 404, code: 'PATIENT_NOT_FOUND' })
  }
})

test('a deletion and a restoration that are interrupted anywhere lose nothing', embeddedOnly, async (t) => {
  const running = await patient(t, undefined, kept)
  const { call, stored } = running
  const check = async ({ path, test, changed }: Awaited<ReturnType<typeof create>>) => {
    const isDeleted = (await call('GET', path)).statusCode === 404
    if (isDeleted) t.equal((await call('POST', `${path}/restore`)).statusCode, 200)
    const { lastUpdated, ...details } = changed.json()
    t.match((await call('GET', path)).json(), details)
    t.equal((await call('GET', test)).statusCode, 200)
    t.equal((await call('GET', `${test}/versions`)).json().length, 1)
    t.ok((await call('GET', `${path}/versions`)).json().length >= 1)
  }
  await interruptEverywhere(running, async () => {
    const made = await create(running)
    return { request: () => call('DELETE', made.path), check: () => check(made) }
  })
  const interruptions = await interruptEverywhere(running, async () => {
    const made = await create(running)
    await call('DELETE', made.path)
    return { request: () => call('POST', `${made.path}/restore`), check: () => check(made) }
  })
  t.ok(interruptions >= 3, `${interruptions}`)
  t.ok((await stored()).patients.every(({ _deleted }) => !_deleted))
})

test('the setting is at most a year', async (t) => {
  for (const days of ['366', '-1', '1.5', 'x']) {
    await t.rejects(patient(t, undefined, { DELETION_GRACE_DAYS: days }), /DELETION_GRACE_DAYS/, days)
  }
})
