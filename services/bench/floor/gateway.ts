import Fastify from 'fastify'
import { Pool } from 'undici'

// The least that a gateway does: it passes a request on, and the answer back

const { PORT, PATIENT_URL } = process.env as Record<string, string>
const patient = new Pool(PATIENT_URL!, { connections: 64 })
const app = Fastify()

app.removeAllContentTypeParsers()
app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
app.all('/*', async ({ method, url: path, body }, reply) => {
  const headers = body ? { 'content-type': 'application/json' } : undefined
  const answer = await patient.request({ method: method as 'GET', path, headers, body: body as Buffer | undefined })
  const bytes = Buffer.from(await answer.body.arrayBuffer())
  return reply.code(answer.statusCode).header('content-type', answer.headers['content-type']).send(bytes)
})

await app.listen({ port: Number(PORT) })
