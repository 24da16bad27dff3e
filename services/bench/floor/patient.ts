import { randomUUID } from 'node:crypto'
import Fastify from 'fastify'
import { MongoClient } from 'mongodb'
import { Pool, request } from 'undici'
import { patientIndexes } from '../../patient/repositories/patients.ts'
import { testIndexes } from '../../patient/repositories/test-results.ts'
import { createIndexes, options } from './database.ts'

// A minimal patient service: the same calls in the same order as ours, without validation or authentication.
// With PER_CALL, each request has its own database client and its own connection to audit, as in the
// published sample.

const { PORT, AUDIT_URL, CONNECTION, PER_CALL } = process.env

interface Patient { _id: string, _shardKey: string }
interface Test extends Patient { patientId: string }

const pool = new Pool(AUDIT_URL!, { connections: 64 })
const shared = new MongoClient(CONNECTION!, options)
const app = Fastify()

const patientsOf = (client: MongoClient) => client.db('patient').collection<Patient>('patients')
const testsOf = (client: MongoClient) => client.db('patient').collection<Test>('tests')
type Work<T> = (patients: ReturnType<typeof patientsOf>, tests: ReturnType<typeof testsOf>) => Promise<T>

async function withDatabase<T> (work: Work<T>) {
  const client = PER_CALL ? await new MongoClient(CONNECTION!, options).connect() : shared
  try {
    return await work(patientsOf(client), testsOf(client))
  } finally {
    if (PER_CALL) await client.close()
  }
}

interface Recorded {
  id?: string
  patientId?: string
  disclosed?: Array<{ id: string }>
}

async function record (operation: string, { disclosed, ...ids }: Recorded) {
  const resource = { type: 'patient', operation, ...ids }
  const call = {
    method: 'POST' as const,
    headers: { 'content-type': 'application/json', ...(PER_CALL && { connection: 'close' }) },
    body: JSON.stringify({ sourceSystemName: 'patient', resource, disclosed })
  }
  const { statusCode, body } = PER_CALL
    ? await request(`${AUDIT_URL}/audit`, { ...call, reset: true })
    : await pool.request({ path: '/audit', ...call })
  await body.dump()
  if (statusCode !== 201) throw new Error(`the audit service responded with status ${statusCode}`)
}

const keyOf = (id: string) => ({ _id: id, _shardKey: id })
const toResponse = <T extends Patient>({ _id, _shardKey, ...details }: T) => ({ id: _id, ...details })

app.post('/patient', async ({ body }, reply) => {
  const id = randomUUID()
  await record('create', { id })
  const patient = { ...keyOf(id), ...body as object, lastUpdated: new Date() }
  await withDatabase((patients) => patients.insertOne(patient))
  return reply.code(201).send(toResponse(patient))
})

app.get<{ Params: { id: string } }>('/patient/:id', async ({ params: { id } }) => {
  const patient = await withDatabase((patients) => patients.findOne(keyOf(id)))
  await record('load', { id, disclosed: [{ id }] })
  return toResponse(patient!)
})

app.put<{ Params: { id: string } }>('/patient/:id', async ({ params: { id }, body }) => {
  await record('update', { id })
  const patient = { ...keyOf(id), ...body as object, lastUpdated: new Date() }
  await withDatabase((patients) => patients.replaceOne(keyOf(id), patient))
  return toResponse(patient)
})

app.post('/patient/search', async () => {
  const found = await withDatabase((patients) =>
    patients.find().sort({ _id: 1 }).limit(100).batchSize(101).toArray())
  await record('search', { disclosed: found.map(({ _id }) => ({ id: _id })) })
  return found.map(toResponse)
})

app.post<{ Params: { id: string } }>('/patient/:id/tests', async ({ params, body }, reply) => {
  const patientId = params.id
  const id = randomUUID()
  await record('create', { id, patientId })
  const test = { _id: id, _shardKey: patientId, ...body as object, patientId, lastUpdated: new Date() }
  await withDatabase(async (patients, tests) => {
    const exists = () => patients.findOne(keyOf(patientId), { projection: { _id: 1 } })
    await exists()
    await tests.insertOne(test)
    await exists()
  })
  return reply.code(201).send(toResponse(test))
})

await createIndexes(shared.db('patient'), [...patientIndexes, ...testIndexes])
await app.listen({ port: Number(PORT) })
