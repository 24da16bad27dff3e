import { randomUUID, randomUUIDv7 } from 'node:crypto'
import Fastify from 'fastify'
import { MongoClient } from 'mongodb'
import { createIndexes, options } from './database.ts'

// The least that a register does: one insert a record, of what ours says of an interaction as far as it is indexed

const { PORT, CONNECTION, PER_CALL } = process.env as Record<string, string>
const shared = new MongoClient(CONNECTION!, options)
const app = Fastify()

app.post('/audit', async ({ body }, reply) => {
  const client = PER_CALL ? await new MongoClient(CONNECTION!, options).connect() : shared
  const id = randomUUIDv7()
  const createdDate = new Date()
  await client.db('audit').collection<{ _id: string, _shardKey: string, createdDate: Date, operationId: string }>('records').insertOne({ ...body as object, _id: id, _shardKey: id, createdDate, operationId: randomUUID() })
  if (PER_CALL) await client.close()
  return reply.code(201).send({ id, createdDate })
})

// Those of our register, of what lies in its blocks
await createIndexes(shared.db('audit'), ['operationId', 'resource.id', 'resource.patientId', 'disclosed.id'].map((field) => ({ collection: 'records', key: { [field]: 1 } })))
await app.listen({ port: Number(PORT) })
