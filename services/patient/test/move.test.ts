import { test } from 'tap'
import { hasFailPoints } from '../../common/test/mongo.ts'
import { ada, observation, patient, unknownId } from './app.ts'
import { interruptEverywhere, ROUNDS, twoPatients } from './interrupted.ts'

const embeddedOnly = hasFailPoints ? {} : { skip: 'needs fail points' }

type Place = { version: string }
const versions = (list: Place[]) => list.map(({ version }) => version)

test('a test result moves to another patient with its id and its versions', async (t) => {
  const { call, from, to, tests: [result], records, stored } = await twoPatients(t)
  const { id, path, versions: [first, second] } = result!
  const before = (await call('GET', path)).json()
  const moved = await call('POST', `${path}/move`, { patientId: to.toUpperCase() })
  t.equal(moved.statusCode, 200)
  const { lastUpdated } = moved.json()
  t.same(moved.json(), { ...before, patientId: to, lastUpdated })
  const newPath = `/patient/${to}/tests/${id}`
  t.equal(moved.headers['content-location'], newPath)
  t.equal((await call('GET', newPath)).body, moved.body)
  t.same((await call('GET', `/patient/${from}/tests`)).json(), [])
  t.same((await call('GET', `/patient/${to}/tests`)).json(), [moved.json()])
  t.match((await call('GET', path)).json(), { status: 404, code: 'TEST_NOT_FOUND', replacedBy: newPath })

  t.same(versions((await call('GET', `${newPath}/versions`)).json()), [second, first])
  t.match((await call('GET', `${newPath}/versions/${first}`)).json(), { performer: 'first', patientId: from })

  const [attempt, other] = (await records()).filter(({ resource }) => resource.operation === 'move')
  t.same([attempt!, other!].map(({ resource }) => resource.patientId).sort(), [from, to].sort())
  for (const record of [attempt!, other!]) t.match(record, { resource: { type: 'test', id } })
  const { _audit, ...kept } = (await stored()).tests[0]!
  t.equal([attempt!, other!].find(({ id }) => id === _audit)!.resource.patientId, to)
  t.notOk('_deleted' in kept || '_moving' in kept)
  const [transfer] = (await stored()).transfers
  t.notMatch(JSON.stringify(transfer), /second|observations/, 'what is left has no health data')
})

test('a repeated move has the same result, and a test result can move on and back', async (t) => {
  const { call, from, to, tests: [result], stored } = await twoPatients(t)
  const { id, path } = result!
  const moved = await call('POST', `${path}/move`, { patientId: to })
  const again = await call('POST', `${path}/move`, { patientId: to })
  t.equal(again.statusCode, 200)
  t.equal(again.body, moved.body)
  t.equal(again.headers.etag, moved.headers.etag)

  for (const [here, there] of [[to, from], [from, to], [to, from]] as const) {
    t.equal((await call('POST', `/patient/${here}/tests/${id}/move`, { patientId: there })).statusCode, 200)
    t.equal((await call('GET', `/patient/${there}/tests/${id}`)).statusCode, 200)
    t.equal((await call('GET', `/patient/${here}/tests/${id}`)).statusCode, 404)
  }
  t.equal((await stored()).tests.length, 1)
  t.equal((await call('GET', `${path}/versions`)).json().length, 5)
  t.equal((await call('DELETE', path)).statusCode, 204)
  t.same((await stored()).versions, [])
})

test('a move that is refused changes nothing and has its failure under both patients', async (t) => {
  const { call, from, to, tests: [result], records, stored } = await twoPatients(t)
  const { id, path } = result!
  const before = await stored()
  const known = (await records()).length
  t.equal((await call('POST', `${path}/move`, { patientId: from.toUpperCase() })).statusCode, 400)
  t.equal((await call('POST', `${path}/move`, { patientId: 'x' })).statusCode, 400)
  t.equal((await call('POST', `${path}/move`, {})).statusCode, 400)
  t.equal((await records()).length, known)
  for (const [url, patientId, code] of [
    [`${path}/move`, unknownId, 'PATIENT_NOT_FOUND'],
    [`/patient/${unknownId}/tests/${id}/move`, to, 'PATIENT_NOT_FOUND'],
    [`/patient/${from}/tests/${unknownId}/move`, to, 'TEST_NOT_FOUND'],
    [`/patient/${from}/tests/x/move`, to, 'TEST_NOT_FOUND'],
    [`/patient/x/tests/${id}/move`, to, 'PATIENT_NOT_FOUND']
  ] as const) {
    const known = (await records()).length
    t.match((await call('POST', url, { patientId })).json(), { status: 404, code }, url)
    const [one, other, ...failures] = (await records()).slice(known)
    t.same(failures.map(({ attemptOf }) => attemptOf).sort(), [one!.id, other!.id].sort())
    t.ok(failures.every(({ outcome }) => outcome === 'failure'))
  }
  t.same(await stored(), before)
})

test('without its records nothing is moved', embeddedOnly, async (t) => {
  const { call, to, tests: [result], failAudit, stored } = await twoPatients(t)
  const before = await stored()
  await failAudit('alwaysOn', { failCommands: ['insert'], errorCode: 13 })
  const moved = await call('POST', `${result!.path}/move`, { patientId: to })
  t.match(moved.json(), { status: 503, code: 'AUDIT_UNAVAILABLE' })
  t.same(await stored(), before)
})

test('a move that is interrupted anywhere neither loses nor doubles anything', embeddedOnly, async (t) => {
  const running = await patient(t)
  const { call, db, records } = running
  const interruptions = await interruptEverywhere(running, async () => {
    const { from, to, tests: [result] } = await twoPatients(t, 1, running)
    const { id, path, versions: [first, second] } = result!
    const newPath = `/patient/${to}/tests/${id}`
    return {
      request: () => call('POST', `${path}/move`, { patientId: to }),
      async check () {
        const answers = await Promise.all([path, newPath].map((path) => call('GET', path)))
        const there = answers.filter(({ statusCode }) => statusCode === 200)
        t.equal(there.length, 1, 'at one place')
        t.match(there[0]!.json(), { id, performer: 'second', observations: [observation] })
        const isMoved = answers[1]!.statusCode === 200
        const { headers: { etag } } = there[0]!
        t.ok((await records()).some(({ id }) => id === JSON.parse(etag as string)), 'recorded')
        const list = (await call('GET', `${isMoved ? newPath : path}/versions`)).json()
        t.same(versions(list), isMoved ? [second, first] : [first])
        t.same(await db.collection('transfers').find({ open: true }).toArray(), [])
        t.equal(await db.collection<{ _id: string }>('tests').countDocuments({ _id: id }), 1)
        t.equal(await db.collection('versions').countDocuments({ _shardKey: from }), isMoved ? 0 : 1)

        t.equal((await call('POST', `${path}/move`, { patientId: to })).statusCode, 200, 'repeated')
        t.match((await call('GET', newPath)).json(), { id, performer: 'second', patientId: to })
        t.equal((await call('GET', path)).statusCode, 404)
      }
    }
  })
  t.ok(interruptions >= 12, `${interruptions}`)
})

test('a repeat finishes an interrupted move', embeddedOnly, async (t) => {
  const running = await patient(t)
  const { call, failCommand } = running
  for (let skip = 5; skip < 14; skip++) {
    const { to, tests: [result] } = await twoPatients(t, 1, running)
    const { id, path } = result!
    await failCommand({ skip }, { failCommands: ['find', 'insert', 'update', 'delete'], errorCode: 96 })
    t.equal((await call('POST', `${path}/move`, { patientId: to })).statusCode, 503)
    await failCommand('off', {})
    t.equal((await call('POST', `${path}/move`, { patientId: to })).statusCode, 200)
    t.match((await call('GET', `/patient/${to}/tests`)).json(), [{ id, performer: 'second' }])
    t.equal((await call('GET', `/patient/${to}/tests/${id}/versions`)).json().length, 2)
  }
})

test('a test result that moves while it is changed or deleted is never lost or doubled', async (t) => {
  const running = await patient(t)
  const { call, db } = running
  for (let round = 0; round < ROUNDS; round++) {
    const { to, tests: [result] } = await twoPatients(t, 1, running)
    const { id, path } = result!
    const [moved, changed] = await Promise.all([
      call('POST', `${path}/move`, { patientId: to }),
      call('PATCH', path, { orderReference: 'changed' })
    ])
    t.equal(moved.statusCode, 200)
    const found = (await call('GET', `/patient/${to}/tests/${id}`)).json()
    t.equal(found.orderReference, changed.statusCode === 200 ? 'changed' : undefined)
    t.equal(await db.collection<{ _id: string }>('tests').countDocuments({ _id: id }), 1)

    const back = `/patient/${to}/tests/${id}`
    const [, deleted] = await Promise.all([
      call('POST', `${back}/move`, { patientId: path.split('/')[2]! }),
      call('DELETE', back)
    ])
    const left = await db.collection<{ _id: string }>('tests').countDocuments({ _id: id })
    t.equal(left, deleted.statusCode === 204 ? 0 : 1)
  }
})

test('of two moves at once to different patients one wins', async (t) => {
  const running = await patient(t)
  const { call, db } = running
  for (let round = 0; round < ROUNDS; round++) {
    const { to, tests: [result] } = await twoPatients(t, 1, running)
    const other = (await call('POST', '/patient', ada)).json().id as string
    const { id, path } = result!
    const moveTo = (patientId: string) => call('POST', `${path}/move`, { patientId })
    const answers = await Promise.all([to, other].map(moveTo))
    t.equal(answers.filter(({ statusCode }) => statusCode === 200).length, 1)
    t.equal(await db.collection<{ _id: string }>('tests').countDocuments({ _id: id }), 1)
  }
})

test('what was moved away stays when its first patient is deleted', async (t) => {
  const { app, call, from, to, tests, stored } = await twoPatients(t, 2)
  const { id, path } = tests[0]!
  await call('POST', `${path}/move`, { patientId: to })
  t.equal((await call('DELETE', `/patient/${from}`)).statusCode, 204)
  await app.sweep.run()
  t.match((await call('GET', `/patient/${to}/tests`)).json(), [{ id }])
  t.equal((await call('GET', `/patient/${to}/tests/${id}/versions`)).json().length, 2)
  t.equal((await stored()).tests.length, 1)
  t.same((await stored()).transfers, [])
})

test('a move to a patient who is deleted meanwhile leaves nothing of it', async (t) => {
  const running = await patient(t)
  const { app, call, db } = running
  for (let round = 0; round < ROUNDS; round++) {
    const { to, tests: [result] } = await twoPatients(t, 1, running)
    await Promise.all([
      call('POST', `${result!.path}/move`, { patientId: to }),
      call('DELETE', `/patient/${to}`)
    ])
    await app.sweep.run()
    t.equal(await db.collection('tests').countDocuments({ _shardKey: to }), 0)
    t.equal(await db.collection('versions').countDocuments({ _shardKey: to }), 0)
  }
})
