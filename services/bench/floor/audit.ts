import { randomUUID, randomUUIDv7 } from 'node:crypto'
import Fastify from 'fastify'
import { MongoClient } from 'mongodb'
import { createIndexes, options } from './database.ts'

// A minimal audit service: one insert for each record, which has the fields that ours has indexes for

interface Record {
  _id: string
  _shardKey: string
  createdDate: Date
  operationId: string
}

const { PORT, CONNECTION, PER_CALL } = process.env
const shared = new MongoClient(CONNECTION!, options)
const app = Fastify()

app.post('/audit', async ({ body }, reply) => {
  const client = PER_CALL ? await new MongoClient(CONNECTION!, options).connect() : shared
  const id = randomUUIDv7()
  const createdDate = new Date()
  const record = { ...body as object, _id: id, _shardKey: id, createdDate, operationId: randomUUID() }
  await client.db('audit').collection<Record>('records').insertOne(record)
  if (PER_CALL) await client.close()
  return reply.code(201).send({ id, createdDate })
})

const fields = ['operationId', 'resource.id', 'resource.patientId', 'disclosed.id']
const indexes = fields.map((field) => ({ collection: 'records', key: { [field]: 1 } }))
await createIndexes(shared.db('audit'), indexes)
await app.listen({ port: Number(PORT) })
