import Fastify from 'fastify'

// A minimal Fastify service, which the images are compared with

const app = Fastify()
app.get('/health/live', async () => ({ status: 'live' }))
await app.listen({ host: '::', port: 8080 })
