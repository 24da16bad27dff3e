import Fastify from 'fastify'
import { Pool } from 'undici'

// A minimal gateway: it forwards requests and responses

const { PORT, PATIENT_URL } = process.env
const patient = new Pool(PATIENT_URL!, { connections: 64 })
const app = Fastify()

app.removeAllContentTypeParsers()
app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
app.all<{ Body: Buffer | undefined }>('/*', async ({ method, url: path, body }, reply) => {
  const headers = body ? { 'content-type': 'application/json' } : undefined
  const response = await patient.request({ method: method as 'GET', path, headers, body })
  const bytes = Buffer.from(await response.body.arrayBuffer())
  return reply.code(response.statusCode).header('content-type', response.headers['content-type']).send(bytes)
})

await app.listen({ port: Number(PORT) })
