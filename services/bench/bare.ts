import Fastify from 'fastify'
import { MongoClient } from 'mongodb'

// A minimal Fastify service with a MongoDB database, which cold starts and idle memory are compared with

const { HOST, PORT, MONGODB_URI, DATABASE_NAME } = process.env
const client = new MongoClient(MONGODB_URI!, { writeConcern: { w: 'majority', journal: true } })
const records = client.db(DATABASE_NAME).collection('bare')
const app = Fastify()
app.get('/health/ready', async () => ({ status: 'ready' }))
app.post('/audit', async (request, reply) => {
  await records.insertOne({ record: request.body })
  return reply.code(201).send({})
})
process.once('SIGTERM', async () => {
  await app.close()
  await client.close()
})
await app.listen({ host: HOST, port: Number(PORT) })
