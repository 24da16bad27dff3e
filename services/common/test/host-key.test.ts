import { test } from 'tap'
import { hostKey, hostKeys } from '../host-key.ts'
import { service } from './service.ts'

test('only a request with a host key in force passes', async (t) => {
  const { app, logs } = await service(t, async (app) => {
    await app.register(hostKey, { keys: hostKeys(['the-first-host-key', 'the-second-host-key']) })
    app.get('/', async () => 'in')
  })
  const statusOf = async (key?: string) => (await app.inject({ url: '/', headers: key === undefined ? {} : { 'x-functions-key': key } })).statusCode

  t.equal(await statusOf('the-first-host-key'), 200)
  t.equal(await statusOf('the-second-host-key'), 200)
  for (const key of [undefined, '', 'the-first-host-ke', 'the-first-host-key2', 'THE-FIRST-HOST-KEY']) t.equal(await statusOf(key), 401, String(key))
  t.notMatch(logs(), /host-ke[^y]|host-key2/)
})
