import { once } from 'node:events'
import { test, type Test } from 'tap'
import { hasFailPoints, mongo } from '../../../common/test/mongo.ts'
import { counterKey } from '../../review/counters.ts'
import type { CounterDocument } from '../../review/documents.ts'
import { sequence } from '../../sequence.ts'
import { audit, configOf, hostKey } from '../app.ts'
import { startReplica } from '../process.ts'
import { emergency, findingsOf, reviewed, type Service } from './service.ts'

const embeddedOnly = hasFailPoints ? {} : { skip: 'needs fail points' }
const KILLS = process.env.FULL ? 4 : 2
/** What a batch leads to takes about as many writes. */
const WRITES = 9
/** More records than a finding names, in one of them. */
const patientOf = (i: number) => `patient-${i % 7}`

/**
 * Checks that findings, counters and activities have every stored record once: each emergency is in the
 * finding about its patient.
 */
async function checkReview (t: Test, service: Pick<Service, 'db' | 'blocks'>) {
  const { db, blocks } = service
  const records = (await blocks()).flatMap(({ records }) => records)
  const byPatient = Map.groupBy(records, ({ resource }) => resource.id!)
  const findings = (await findingsOf(service)).filter(({ rule }) => rule === 'break-the-glass')
  t.equal(findings.length, byPatient.size)
  for (const { patientId, count, records: ids } of findings) {
    const stored = byPatient.get(patientId!)!.map(({ id }) => id)
    t.equal(count, stored.length, `the finding about ${patientId} has every record once`)
    t.equal(new Set(ids).size, Math.min(stored.length, 100))
    t.ok(ids.every((id) => stored.includes(id)))
  }
  const expected: Record<string, number> = {}
  for (const record of records) {
    const key = `${record.createdDate.toISOString().slice(0, 13)} ${record.actor} ${counterKey(record)}`
    expected[key] = (expected[key] ?? 0) + 1
  }
  const counters = await db.collection<CounterDocument>('counters').find().toArray()
  t.strictSame(Object.fromEntries(counters.flatMap(({ _id, counts }) =>
    Object.entries(counts).map(([name, count]) => [`${_id} ${name}`, count]))), expected)
  const [activity] = await db.collection('activities').find({ hour: { $exists: true } }).toArray()
  const { start, count } = activity!.hour
  const lastHour = records.filter(({ createdDate }) => createdDate.toISOString().startsWith(start))
  t.equal(count, lastHour.length)
  t.equal(await db.collection('contacts').countDocuments(), byPatient.size)
}

test('a review that ends between any two writes loses and doubles nothing', embeddedOnly, async (t) => {
  const database = await mongo(t)
  const { connection, db, failCommand } = database
  // Not temporary, so that it is not repeated
  const data = { failCommands: ['insert', 'update'], errorCode: 96 }
  let stored = 0
  let failures = 0
  for (let skip = 0; skip < WRITES; skip++) {
    const { app, post } = await audit(t, database)
    // Sequenced by the end of the service, and not reviewed: it ends before it looks for them
    await Promise.all(Array.from({ length: 3 }, () => post(emergency(patientOf(stored++)))))
    await app.close()
    await failCommand({ skip }, data)
    const run = sequence(configOf(connection, db.databaseName), { logStream: { write () {} } })
    await run.catch(() => failures++)
    await failCommand('off', data)
  }
  t.equal(failures, WRITES, 'it ended after each write')
  const service = await audit(t, database)
  await service.post(emergency(patientOf(stored)))
  await reviewed(service)
  await checkReview(t, service)
})

test('replicas that are killed lose and double nothing', async (t) => {
  const database = await mongo(t)
  let stored = 0
  for (let kill = 0; kill < KILLS; kill++) {
    const replicas = await Promise.all([1, 2].map(() => startReplica(t, database)))
    // Killed at whatever step it is when so many are acknowledged
    const target = stored + 60 + 23 * kill
    await Promise.all(replicas.map(async ({ url, process }, i) => {
      while (stored < target) {
        const response = await fetch(`${url}/audit`, {
          method: 'POST',
          headers: { 'x-functions-key': hostKey, 'content-type': 'application/json' },
          body: JSON.stringify(emergency(patientOf(stored)))
        })
        await response.text()
        stored++
      }
      process.kill(i === 0 ? 'SIGKILL' : 'SIGTERM')
      await once(process, 'exit')
    }))
  }
  const service = await audit(t, database)
  await service.post(emergency(patientOf(0)))
  await reviewed(service)
  await checkReview(t, service)
  await service.app.close()
})
