import Fastify from 'fastify'

// The least that a Fastify service in a container is: what the images are measured beside

const app = Fastify()
app.get('/health/live', async () => ({ status: 'live' }))
await app.listen({ host: '::', port: 8080 })
