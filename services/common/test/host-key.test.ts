import { test, type Test } from 'tap'
import { allowList } from '../guard/allow-list.ts'
import { acceptedHostKey, hostKey } from '../guard/host-key.ts'
import { refusals, type Refusal } from '../guard/refusals.ts'
import { manualClock } from './clock.ts'
import { vault } from './secrets.ts'
import { service } from './service.ts'

async function guarded (t: Test, store: ReturnType<typeof vault>) {
  const key = acceptedHostKey({ open: (_name, use) => store.reader(use) }, 'a-host-key')
  await key.loaded
  const recorded: Refusal[] = []
  const { app, logs } = await service(t, async (app) => {
    await app.register(refusals, { record: async (refusal) => { recorded.push(refusal) } })
    await app.register(allowList, {
      ALLOWED_CALLERS: '127.0.0.1/32',
      CALLER_ADDRESS: 'peer',
      PROXY_ADDRESSES: '127.0.0.0/8'
    })
    await app.register(hostKey, { key })
    app.get('/', async () => 'in')
  })
  const statusOf = async (sent?: string) => {
    const headers = sent === undefined ? {} : { 'x-functions-key': sent }
    return (await app.inject({ url: '/', headers })).statusCode
  }
  return { statusOf, logs, recorded }
}

test('only a request with a valid host key passes', async (t) => {
  const store = vault(t)
  store.add('first')
  store.add('second')
  const { statusOf, logs } = await guarded(t, store)

  for (const id of ['first', 'second']) t.equal(await statusOf(`value-of-${id}`), 200)
  const wrong = [undefined, '', 'value-of-firs', 'value-of-first2', 'VALUE-OF-FIRST']
  t.same(await Promise.all(wrong.map(statusOf)), Array(wrong.length).fill(401))
  t.notMatch(logs(), /value-of/i)
})

test('a key that is newer than the cached ones waits for the next refresh, and passes', async (t) => {
  const clock = manualClock()
  const store = vault(t, clock)
  store.add('first')
  const { statusOf } = await guarded(t, store)
  store.add('second')
  t.equal(await clock.until(statusOf('value-of-second')), 200)
})

test('wrong keys cause at most one refresh a second, and at most a hundred requests wait', async (t) => {
  const clock = manualClock()
  const store = vault(t, clock)
  store.add('first')
  const { statusOf } = await guarded(t, store)
  const before = store.state.reads
  const refused = Promise.withResolvers<void>()
  let answered = 0
  const wrong = Array.from({ length: 1_000 }, async (_, i) => {
    const status = await statusOf(`wrong ${i}`)
    if (++answered === 900) refused.resolve()
    return status
  })
  await refused.promise
  t.equal(store.state.reads, before, 'all but a hundred are answered before the next refresh')
  t.equal(await statusOf('value-of-first'), 200, 'and a good key at once')
  await clock.advance(999)
  t.equal(answered, 900)
  t.equal(store.state.reads, before)
  await clock.advance(1)
  t.same(new Set(await Promise.all(wrong)), new Set([401]))
  t.equal(store.state.reads, before + 1)
})

test('a hundred callers may wait again after a refresh', async (t) => {
  const clock = manualClock()
  const store = vault(t, clock)
  store.add('first')
  const key = store.reader(String)
  await key.loaded
  for (let round = 0; round < 2; round++) {
    const waiting = Array.from({ length: 100 }, () => key.findOrRefresh(() => undefined))
    t.ok(waiting.every((answer) => answer instanceof Promise))
    t.equal(key.findOrRefresh(() => undefined), undefined)
    await clock.advance(1_000)
    await Promise.all(waiting)
  }
})

test('a call that is refused for its key is recorded', async (t) => {
  const store = vault(t)
  store.add('first')
  const { statusOf, recorded } = await guarded(t, store)
  t.equal(await statusOf(), 401)
  const resource = { type: 'host-key', operation: 'refuse' }
  t.match(recorded, [{ resource, clientAddress: '127.0.0.1', outcome: 'failure', count: 1 }])
})
