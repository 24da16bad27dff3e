import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { hasFailPoints } from '../../common/test/mongo.ts'
import { ada, observation, patient, unknownId } from './app.ts'
import { allMoved, interruptEverywhere, ROUNDS, twoPatients } from './interrupted.ts'

const embeddedOnly = hasFailPoints ? {} : { skip: 'needs fail points' }

type Running = Awaited<ReturnType<typeof patient>>
type Result = { id: string, patientId: string }

async function merging ({ call, db }: Pick<Running, 'call' | 'db'>, from: string, to: string) {
  const merged = await call('POST', `/patient/${to}/merge`, { from })
  await allMoved({ db })
  return merged
}

async function idsOf (call: Running['call'], patientId: string) {
  const tests = (await call('GET', `/patient/${patientId}/tests`)).json() as Result[]
  return tests.map(({ id }) => id).sort()
}

test('a merge unites what identifies the patients, and moves the test results', async (t) => {
  const running = await patient(t)
  const { call, records, stored } = running
  const { from, to, tests } = await twoPatients(t, 7, running)
  const own = (await call('POST', `/patient/${to}/tests`, { observations: [observation] })).json().id
  const mrn = { system: 'https://hospital.example.com/mrn', value: '1' }
  const phone = { system: 'phone', value: '+1' }
  const address = { city: 'London', lines: ['1 Street'] }
  await call('PATCH', `/patient/${to}`, { identifiers: [mrn], contacts: [phone], insuranceNumber: 'I-1' })
  const changed = await call('PATCH', `/patient/${from}`, {
    identifiers: [{ ...mrn, value: '2' }, mrn],
    contacts: [{ ...phone, use: 'home' }, { system: 'email', value: 'a@b' }],
    addresses: [address],
    insuranceNumber: 'I-2',
    preferredContactNumber: '+2'
  })

  const merged = await merging(running, from.toUpperCase(), to)
  t.equal(merged.statusCode, 200)
  t.match(merged.json(), {
    id: to,
    firstName: 'B',
    insuranceNumber: 'I-1',
    identifiers: [mrn, { ...mrn, value: '2' }, { type: 'insuranceNumber', value: 'I-2' }],
    contacts: [phone, { system: 'email', value: 'a@b' }, { system: 'phone', value: '+2' }],
    addresses: [address]
  })
  t.equal((await call('GET', `/patient/${to}`)).body, merged.body)
  t.same(await idsOf(call, to), [own, ...tests.map(({ id }) => id)].sort())
  const { id, versions } = tests[0]!
  t.equal((await call('GET', `/patient/${to}/tests/${id}/versions`)).json().length, 2)
  const first = await call('GET', `/patient/${to}/tests/${id}/versions/${versions[0]}`)
  t.match(first.json(), { performer: 'first', patientId: from })

  for (const path of [
    '', '/tests', `/tests/${id}`, '/versions', `/versions/${versions[0]}`, '/observations?code=hb'
  ]) {
    const answer = await call('GET', `/patient/${from}${path}`)
    t.match(answer.json(), { status: 404, code: 'PATIENT_NOT_FOUND', replacedBy: to }, path)
  }
  for (const [method, path, body] of [
    ['PUT', '', ada], ['PATCH', '', { title: 'x' }], ['DELETE', '', undefined],
    ['POST', '/tests', { observations: [observation] }], ['PATCH', `/tests/${id}`, { performer: 'x' }],
    ['DELETE', `/tests/${id}`, undefined], ['POST', '/restore', undefined],
    ['POST', `/tests/${id}/move`, { patientId: to }]
  ] as const) {
    const answer = await call(method, `/patient/${from}${path}`, body)
    t.match(answer.json(), { status: 404, code: 'PATIENT_NOT_FOUND', replacedBy: to }, `${method} ${path}`)
  }
  t.equal((await call('POST', '/patient/search', {})).json().length, 1)

  const attempts = (await records()).filter(({ resource }) => resource.operation === 'merge')
  t.same(attempts.map(({ resource }) => resource.id).sort(), [from, to].sort())
  const { patients, transfers } = await stored()
  const tombstone = patients.find(({ _id }) => _id as unknown === from)!
  const names = ['_audit', '_deleted', '_finished', '_id', '_mergedInto', '_shardKey']
  t.same(Object.keys(tombstone).sort(), names)
  t.equal(tombstone._audit, attempts.find(({ resource }) => resource.id === from)!.id)
  t.equal(JSON.parse(merged.headers.etag as string), attempts.find(({ resource }) => resource.id === to)!.id)
  t.same(transfers, [])

  const history = (await call('GET', `/patient/${to}/versions`)).json() as Array<Result & { version: string }>
  const last = history.find(({ id }) => id === from)!
  t.equal(last.version, JSON.parse(changed.headers.etag as string))
  t.equal((await call('GET', `/patient/${to}/versions/${last.version}`)).body, changed.body)
  t.equal(history.length, 4)
})

test('a repeated merge has the same result, and a chain of merges leads to its end', async (t) => {
  const running = await patient(t)
  const { call } = running
  const { from, to, tests } = await twoPatients(t, 2, running)
  const merged = await merging(running, from, to)
  const again = await merging(running, from, to)
  t.equal(again.statusCode, 200)
  t.equal(again.body, merged.body)
  t.equal(again.headers.etag, merged.headers.etag)

  const last = (await call('POST', '/patient', ada)).json().id as string
  t.equal((await merging(running, to, last)).statusCode, 200)
  for (const id of [from, to]) {
    t.match((await call('GET', `/patient/${id}`)).json(), { status: 404, replacedBy: last })
  }
  t.same(await idsOf(call, last), tests.map(({ id }) => id).sort())
  const late = (await merging(running, from, to)).json()
  t.match(late, { status: 404, code: 'PATIENT_NOT_FOUND', replacedBy: last })

  await call('DELETE', `/patient/${last}`)
  const deleted = (await call('GET', `/patient/${from}`)).json()
  t.match(deleted, { status: 404, code: 'PATIENT_NOT_FOUND' })
  t.notOk('replacedBy' in deleted)
})

test('nothing of a merged patient is left when the other one is deleted', async (t) => {
  const running = await patient(t)
  const { app, call, stored } = running
  const { from, to } = await twoPatients(t, 3, running)
  await call('PATCH', `/patient/${from}`, { title: 'x' })
  await merging(running, from, to)
  t.equal((await call('DELETE', `/patient/${to}`)).statusCode, 204)
  await app.sweep.run()
  const { patients, tests, versions, transfers } = await stored()
  t.same([tests, versions, transfers], [[], [], []])
  t.notMatch(JSON.stringify(patients), /Lovelace/)
})

test('a merge that is refused changes nothing and has its failure under both patients', async (t) => {
  const running = await patient(t)
  const { call, records, stored } = running
  const { from, to } = await twoPatients(t, 1, running)
  const many = Array.from({ length: 40 }, (_, i) => ({ system: 's', value: String(i) }))
  await call('PATCH', `/patient/${from}`, { identifiers: many })
  await call('PATCH', `/patient/${to}`, { identifiers: many.map(({ value }) => ({ system: 't', value })) })
  const before = await stored()
  for (const body of [{ from: to.toUpperCase() }, { from: 'x' }, {}, { from, to }]) {
    t.equal((await call('POST', `/patient/${to}/merge`, body)).statusCode, 400)
  }
  for (const [at, other, status] of [
    [to, unknownId, 404], [unknownId, from, 404], ['x', from, 404], [to, from, 400]
  ] as const) {
    const known = (await records()).length
    t.equal((await merging(running, other, at)).statusCode, status)
    const [one, two, ...failures] = (await records()).slice(known)
    t.same(failures.map(({ attemptOf }) => attemptOf).sort(), [one!.id, two!.id].sort())
  }
  t.same(await stored(), before)
})

test('a merge that is interrupted anywhere neither loses nor doubles anything', embeddedOnly, async (t) => {
  const running = await patient(t)
  const { call, db, records } = running
  const interruptions = await interruptEverywhere(running, async () => {
    const { from, to, tests } = await twoPatients(t, 2, running)
    const changed = await call('PATCH', `/patient/${from}`, { identifiers: [{ value: 'of A' }] })
    const ids = tests.map(({ id }) => id).sort()
    return {
      request: () => call('POST', `/patient/${to}/merge`, { from }),
      async check () {
        const source = await call('GET', `/patient/${from}`)
        const isMerged = source.statusCode === 404
        const { identifiers } = (await call('GET', `/patient/${to}`)).json()
        if (isMerged) t.same(identifiers, [{ value: 'of A' }])
        const [here, there] = [await idsOf(call, from).catch(() => []), await idsOf(call, to)]
        t.same(isMerged ? there : here, ids)
        t.same(isMerged ? here : there, [])
        t.equal(await db.collection('tests').countDocuments({ _shardKey: { $in: [from, to] } }), 2)
        t.same(await db.collection('transfers').find({ open: true }).toArray(), [])
        if (isMerged) {
          t.equal(source.json().replacedBy, to)
          for (const { id } of tests) {
            t.equal((await call('GET', `/patient/${to}/tests/${id}/versions`)).json().length, 2)
          }
          const version = JSON.parse(changed.headers.etag as string)
          t.equal((await call('GET', `/patient/${to}/versions/${version}`)).body, changed.body)
          t.equal(await db.collection('versions').countDocuments({ _shardKey: from }), 0)
        }
        const known = new Set((await records()).map(({ id }) => id))
        for (const name of ['patients', 'tests', 'versions']) {
          const stored = await db.collection(name).find({ _shardKey: { $in: [from, to] } }).toArray()
          t.same(stored.filter(({ _audit }) => !known.has(_audit)), [], 'recorded')
        }
        t.equal((await merging(running, from, to)).statusCode, 200, 'repeated')
        t.same(await idsOf(call, to), ids)
      }
    }
  })
  t.ok(interruptions >= 30, `${interruptions}`)
})

test('a test result that is created during a merge is stored once or refused', async (t) => {
  const running = await patient(t)
  const { app, call, db } = running
  for (let round = 0; round < ROUNDS; round++) {
    const { from, to, tests } = await twoPatients(t, 1, running)
    const creates = Array.from({ length: 4 }, async (_, i) => {
      await sleep(i)
      return call('POST', `/patient/${from}/tests`, { observations: [observation] })
    })
    const [merged, ...answers] = await Promise.all([merging(running, from, to), ...creates])
    t.equal(merged.statusCode, 200)
    for (const { statusCode } of answers) t.ok([201, 404].includes(statusCode), `${statusCode}`)
    await app.sweep.run()
    const created = answers.filter(({ statusCode }) => statusCode === 201).map((answer) => answer.json().id)
    t.same(await idsOf(call, to), [tests[0]!.id, ...created].sort())
    t.equal(await db.collection('tests').countDocuments({ _shardKey: from }), 0)
  }
})

test('two patients that are merged into each other at once are not both lost', async (t) => {
  const running = await patient(t)
  const { app, call, db } = running
  for (let round = 0; round < ROUNDS; round++) {
    const { from, to, tests } = await twoPatients(t, 1, running)
    const answers = await Promise.all([merging(running, from, to), merging(running, to, from)])
    await app.sweep.run()
    for (const { statusCode } of answers) t.ok([200, 404, 409].includes(statusCode), `${statusCode}`)
    const left = []
    for (const id of [from, to]) if ((await call('GET', `/patient/${id}`)).statusCode === 200) left.push(id)
    t.equal(left.length, answers.some(({ statusCode }) => statusCode === 200) ? 1 : 2)
    const found = await Promise.all(left.map((id) => idsOf(call, id)))
    t.same(found.flat(), [tests[0]!.id])
    t.equal(await db.collection('transfers').countDocuments({ open: true }), 0)
  }
})

test('a merge, moves and changes at once lose nothing', async (t) => {
  const running = await patient(t)
  const { app, call } = running
  for (let round = 0; round < ROUNDS; round++) {
    const { from, to, tests } = await twoPatients(t, 3, running)
    const other = await twoPatients(t, 1, running)
    await Promise.all([
      merging(running, from, to),
      call('POST', `${tests[0]!.path}/move`, { patientId: other.to }),
      call('POST', `${other.tests[0]!.path}/move`, { patientId: from }),
      call('PATCH', tests[1]!.path, { orderReference: 'x' })
    ])
    await app.sweep.run()
    const found = await Promise.all([to, other.from, other.to].map((id) => idsOf(call, id)))
    t.same(found.flat().sort(), [...tests, ...other.tests].map(({ id }) => id).sort())
  }
})

test('a repeat finishes an interrupted merge, and another merge a refused one', embeddedOnly, async (t) => {
  const running = await patient(t)
  const { call, db, failCommand } = running
  const merge = async (from: string, to: string, skip: number) => {
    await failCommand({ skip }, { failCommands: ['find', 'insert', 'update', 'delete'], errorCode: 96 })
    const answer = await call('POST', `/patient/${to}/merge`, { from })
    await failCommand('off', {})
    return answer
  }
  for (const skip of [4, 8, 12, 16, 20]) {
    const { from, to, tests } = await twoPatients(t, 1, running)
    await merge(from, to, skip)
    t.equal((await merging(running, from, to)).statusCode, 200, `after ${skip} commands`)
    t.same(await idsOf(call, to), tests.map(({ id }) => id))
  }
  const { from, to, tests } = await twoPatients(t, 1, running)
  const other = (await call('POST', '/patient', ada)).json().id
  await merge(from, to, 5)
  t.equal(await db.collection('transfers').countDocuments({ open: true }), 1)
  await call('DELETE', `/patient/${to}`)
  t.equal((await merging(running, from, other)).statusCode, 200)
  t.same(await idsOf(call, other), tests.map(({ id }) => id))
})
