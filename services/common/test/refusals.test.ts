import { setImmediate } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { allowList } from '../guard/allow-list.ts'
import { refusals, type RecordRefusal, type Refusal } from '../guard/refusals.ts'
import { service } from './service.ts'

async function guarded (t: Test, record: RecordRefusal = async () => {}) {
  const recorded: Refusal[] = []
  const traces: string[] = []
  const { app, logs } = await service(t, async (app) => {
    await app.register(refusals, {
      record: async (refusal, trace) => {
        recorded.push(refusal)
        traces.push(trace.traceparent!)
        await record(refusal, trace)
      }
    })
    await app.register(allowList, {
      ALLOWED_CALLERS: '10.0.0.0/8',
      CALLER_ADDRESS: 'peer',
      PROXY_ADDRESSES: '127.0.0.0/8'
    })
    app.get('/', async () => 'in')
  })
  const call = (remoteAddress: string, traceparent?: string) =>
    app.inject({ url: '/', remoteAddress, headers: traceparent ? { traceparent } : {} })
  return { app, logs, call, recorded, traces }
}

test('the first refused call of an address is recorded at once, later ones are counted', async (t) => {
  const { app, call, recorded, traces } = await guarded(t)
  await call('192.0.2.1', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01')
  for (let i = 0; i < 50; i++) await call('192.0.2.1')
  await call('192.0.2.2')
  const resource = { type: 'caller-address', operation: 'refuse' } as const
  const first = { resource, outcome: 'failure', count: 1 } as const
  t.same(recorded, [
    { ...first, clientAddress: '192.0.2.1' },
    { ...first, clientAddress: '192.0.2.2' }
  ])
  t.match(traces[0], /^00-0af7651916cd43dd8448eb211c80319c-/)
  await app.close()
  t.same(
    recorded.slice(2),
    [{ ...first, clientAddress: '192.0.2.1', count: 50 }],
    'the rest when the service closes'
  )
})

test('at most a hundred addresses are counted separately', async (t) => {
  const { app, call, recorded } = await guarded(t)
  for (let i = 0; i < 300; i++) await call(`192.0.2.${i % 256}`)
  t.equal(recorded.length, 101)
  t.equal(recorded.filter(({ clientAddress }) => clientAddress === undefined).length, 1)
  await app.close()
  t.equal(
    recorded.reduce((sum, { count }) => sum + count, 0),
    300,
    'none is lost'
  )
})

test('a failing or slow register does not affect the refused call', async (t) => {
  const { call, logs } = await guarded(t, async () => {
    throw new Error('unavailable')
  })
  t.equal((await call('192.0.2.1')).statusCode, 403)
  await setImmediate()
  t.match(logs(), 'cannot record refused calls')
  const { call: callSlow, app } = await guarded(t, () => new Promise(() => {}))
  t.equal((await callSlow('192.0.2.1')).statusCode, 403)
  await callSlow('192.0.2.1')
  const began = performance.now()
  await app.close()
  t.ok(performance.now() - began < 5_000)
})
