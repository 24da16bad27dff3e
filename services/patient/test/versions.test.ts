import { test } from 'tap'
import { hasFailPoints } from '../../common/test/mongo.ts'
import { ada, observation, patient, unknownId } from './app.ts'
import { interruptEverywhere } from './interrupted.ts'

const embeddedOnly = hasFailPoints ? {} : { skip: 'needs fail points' }

const versionOf = ({ headers }: { headers: { etag?: unknown } }): string => JSON.parse(headers.etag as string)

test('each change of a patient keeps the version that it replaces', async (t) => {
  const { call } = await patient(t)
  const created = await call('POST', '/patient', ada)
  const path = created.headers.location as string
  t.same((await call('GET', `${path}/versions`)).json(), [])
  const updated = await call('PUT', path, { ...ada, lastName: 'King' })
  const patched = await call('PATCH', path, { title: 'Countess' })

  const list = await call('GET', `${path}/versions`)
  t.equal(list.statusCode, 200)
  const { id } = created.json()
  t.match(list.json(), [
    { id, version: versionOf(updated), lastUpdated: updated.json().lastUpdated, replaced: /Z$/ },
    { id, version: versionOf(created), lastUpdated: created.json().lastUpdated, replaced: /Z$/ }
  ])
  t.equal(list.json().length, 2)
  for (const answer of [created, updated, patched]) {
    const version = await call('GET', `${path}/versions/${versionOf(answer)}`)
    t.equal(version.statusCode, 200)
    t.equal(version.body, answer.body)
    t.equal(version.headers.etag, answer.headers.etag)
  }
})

test('each change of a test result keeps the version that it replaces, with all its digits', async (t) => {
  const { call, records } = await patient(t)
  const { headers: { location } } = await call('POST', '/patient', ada)
  const body = (digits: string) =>
    `{"observations":[{"id":"1","code":"hb","value":{"number":${digits}},"status":"final"}]}`
  const json = { 'content-type': 'application/json' }
  const created = await call('POST', `${location}/tests`, body('7.20') as never, json)
  const path = created.headers.location as string
  const updated = await call('PUT', path, body('7.30') as never, json)
  const first = await call('GET', `${path}/versions/${versionOf(created)}`)
  t.equal(first.body, created.body)
  t.match(first.body, '7.20')
  const list = await call('GET', `${path}/versions`)
  t.match(list.json(), [{ version: versionOf(created) }])

  const [ofVersion, ofList] = (await records()).slice(-2)
  const { id, patientId } = created.json()
  const disclosed = [{ id, version: versionOf(created) }]
  t.match(ofVersion, { resource: { type: 'test', operation: 'load-version', id, patientId }, disclosed })
  t.match(ofList, { resource: { type: 'test', operation: 'list-versions', id, patientId }, disclosed })
  t.equal(updated.statusCode, 200)
})

test('what has no such version is a 404, and recorded', async (t) => {
  const { call, records } = await patient(t)
  const { headers: { location, etag } } = await call('POST', '/patient', ada)
  const body = { observations: [observation] }
  const { headers: { location: test } } = await call('POST', `${location}/tests`, body)
  const version = JSON.parse(etag as string)
  for (const [path, code] of [
    [`${location}/versions/${unknownId}`, 'VERSION_NOT_FOUND'],
    [`${location}/versions/%20x`, 'VERSION_NOT_FOUND'],
    [`${test}/versions/${version}`, 'VERSION_NOT_FOUND'],
    [`${location}/tests/${unknownId}/versions/${version}`, 'TEST_NOT_FOUND'],
    [`${location}/tests/${unknownId}/versions`, 'TEST_NOT_FOUND'],
    [`/patient/${unknownId}/versions/${version}`, 'PATIENT_NOT_FOUND'],
    [`/patient/${unknownId}/versions`, 'PATIENT_NOT_FOUND']
  ] as const) {
    t.match((await call('GET', path)).json(), { status: 404, code }, path)
    t.same((await records()).at(-1)!.disclosed, [])
  }
  const forged = await call('GET', `${location}/versions?cursor=x`)
  t.match(forged.json(), { status: 400, code: 'INVALID_CURSOR' })
})

test('a list of versions is read page by page', async (t) => {
  const { call } = await patient(t)
  const created = await call('POST', '/patient', ada)
  const path = created.headers.location as string
  const versions = [versionOf(created)]
  for (let i = 0; i < 6; i++) versions.unshift(versionOf(await call('PATCH', path, { title: `T${i}` })))
  const found = []
  for (let next: string | undefined = `${path}/versions?limit=2`; next;) {
    const page = await call('GET', next)
    found.push(...page.json().map(({ version }: { version: string }) => version))
    next = /<([^>]+)>/.exec(page.headers.link as string)?.[1]
  }
  t.same(found, versions.slice(1))
})

test('versions go with their test result and with their patient', async (t) => {
  const { call, stored } = await patient(t)
  const path = (await call('POST', '/patient', ada)).headers.location as string
  const made = []
  for (let i = 0; i < 2; i++) {
    const { headers: { location } } = await call('POST', `${path}/tests`, { observations: [observation] })
    made.push(location as string)
  }
  for (const changed of [path, ...made]) await call('PATCH', changed, { preferredName: 'x', performer: 'x' })
  await call('PATCH', path, { title: 'x' })
  for (const changed of made) await call('PATCH', changed, { performer: 'x' })
  t.equal((await stored()).versions.length, 3)
  await call('DELETE', made[0]!)
  t.equal((await stored()).versions.length, 2)
  await call('DELETE', path)
  t.same((await stored()).versions, [])
})

test('a change that is interrupted anywhere loses no version', embeddedOnly, async (t) => {
  const running = await patient(t)
  const { app, call, records } = running
  const interruptions = await interruptEverywhere(running, async () => {
    const created = await call('POST', '/patient', ada)
    const path = created.headers.location as string
    return {
      request: () => call('PUT', path, { ...ada, lastName: 'King' }),
      async check () {
        const current = await call('GET', path)
        const isChanged = current.json().lastName === 'King'
        const list = (await call('GET', `${path}/versions`)).json()
        t.same(list.map(({ version }: { version: string }) => version), isChanged ? [versionOf(created)] : [])
        const first = await call('GET', `${path}/versions/${versionOf(created)}`)
        t.equal(first.body, created.body)
        t.ok((await records()).some(({ id }) => id === versionOf(current)), 'recorded')
        // Again, after an interruption
        const patched = await call('PATCH', path, { title: 'x' })
        t.equal(patched.statusCode, 200)
        const { length } = (await call('GET', `${path}/versions`)).json()
        t.equal(length, isChanged ? 2 : 1)
      }
    }
  })
  t.ok(interruptions >= 3, `${interruptions}`)
  await app.sweep.run()
})

test('a change of what is deleted meanwhile leaves no version', async (t) => {
  const { call, stored } = await patient(t)
  for (let round = 0; round < 20; round++) {
    const path = (await call('POST', '/patient', ada)).headers.location as string
    await Promise.all([call('PUT', path, { ...ada, lastName: 'King' }), call('DELETE', path)])
  }
  t.same((await stored()).versions, [])
})
