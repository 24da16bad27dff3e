import { test } from 'tap'
import { logLevel } from '../http/log-level.ts'
import { service } from './service.ts'

test('the level of a log is read and set while the service runs', async (t) => {
  const { app, logs } = await service(t, async (app) => {
    app.register(logLevel)
    app.get('/', async (request) => {
      request.log.debug('a detail')
      return 'in'
    })
  })
  const set = (payload: object) => app.inject({ method: 'PUT', url: '/log-level', payload })

  await set({ level: 'info' })
  await app.inject('/')
  t.notMatch(logs(), 'a detail')

  t.same((await set({ level: 'debug' })).json(), { level: 'debug' })
  t.same((await app.inject('/log-level')).json(), { level: 'debug' })
  await app.inject('/')
  t.match(logs(), 'a detail')

  for (const payload of [{}, { level: 'loud' }, { level: 'info', more: 1 }]) {
    t.equal((await set(payload)).statusCode, 400)
  }
  t.same((await app.inject('/log-level')).json(), { level: 'debug' })
})
