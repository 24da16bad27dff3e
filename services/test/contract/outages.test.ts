import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { isUnavailable, testLogs } from './api.ts'
import { startFailing } from './failing.ts'

const { api, requests, needsFailPoints, allAreUnavailable, worksAgain, allIsRecorded } = await startFailing()
const { system } = api

/** What `meanwhile` finds while a process is gone, which is ready again afterwards. */
async function without (name: 'audit' | 'patient' | 'database', meanwhile: () => Promise<void>) {
  await system.without(name, meanwhile)
  while (!await api.isThere()) await sleep(20)
}

test('while the audit service is gone every request is a 503, and nothing is written', async (t) => {
  const before = await api.dump()
  await without('audit', async () => {
    await allAreUnavailable(t, 10_000, 'AUDIT_UNAVAILABLE')
    t.equal(await api.dump(), before)
  })
  await worksAgain(t)
})

test('while the audit service does not answer, the same', async (t) => {
  const before = await api.dump()
  const { pid } = system.run.audit
  process.kill(pid!, 'SIGSTOP')
  try {
    await allAreUnavailable(t, 12_000, 'AUDIT_UNAVAILABLE')
    t.equal(await api.dump(), before)
  } finally {
    process.kill(pid!, 'SIGCONT')
  }
  await worksAgain(t)
})

test('while the register\'s database refuses its inserts, the same', needsFailPoints, async (t) => {
  const before = await api.dump()
  await api.failCommands('audit', { failCommands: ['insert'], errorCode: 8000 })
  await allAreUnavailable(t, 12_000, 'AUDIT_UNAVAILABLE')
  await api.failNoMore()
  t.equal(await api.dump(), before)
  await worksAgain(t)
})

const ours = { skip: !system.run.database && 'the server is not ours to end' }

test('while the database is gone every request is a 503, and all is there afterwards', ours, async (t) => {
  const before = await api.dump()
  await without('database', async () => {
    await allAreUnavailable(t, 15_000)
    for (const { url } of [system.run.patient, system.run.audit]) {
      const ready = await fetch(`${url}/health/ready`)
      t.equal(ready.status, 200, 'an outage after the start is answered by the service itself')
    }
  })
  t.equal(await api.dump(), before)
  await worksAgain(t)
})

test('while the patient service is gone the gateway answers 503', async (t) => {
  await without('patient', async () => {
    for (const request of Object.values(requests)) {
      const answer = await request()
      isUnavailable(t, answer)
      const body = { statusCode: 503, message: 'Service unavailable', activityId: '' }
      t.strictSame({ ...answer.body, activityId: '' }, body)
      t.match(answer.body.activityId, /^[0-9a-f-]{36}$/)
    }
  })
  await worksAgain(t)
})

test('no outage has left a patient or a test result without its record', allIsRecorded)

testLogs(api)
