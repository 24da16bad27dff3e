import { test } from 'tap'
import { health } from '../http/health.ts'
import { service } from './service.ts'

test('ready follows what the service needs to start', async (t) => {
  let ready = false
  const { app } = await service(t, (app) => { app.register(health, { ready: () => ready }) })
  t.equal((await app.inject('/health/live')).statusCode, 200)
  t.equal((await app.inject('/health/ready')).statusCode, 503)
  ready = true
  t.equal((await app.inject('/health/ready')).statusCode, 200)
})

test('a closing service is not ready, and lets the request in flight finish', async (t) => {
  const { promise: held, resolve: letGo } = Promise.withResolvers<void>()
  const { app } = await service(t, (app) => {
    app.register(health, { ready: () => true })
    app.get('/slow', async () => { await held; return 'done' })
  })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const slow = fetch(`${url}/slow`)
  const ready = await fetch(`${url}/health/ready`)
  t.equal(ready.status, 200)
  const closing = app.close()
  await new Promise(setImmediate)
  t.equal((await app.inject('/health/ready').catch(() => ({ statusCode: 503 }))).statusCode, 503)
  letGo()
  t.equal(await (await slow).text(), 'done')
  await closing
})
