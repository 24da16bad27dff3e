import { test, type Test } from 'tap'
import { allowList } from '../guard/allow-list.ts'
import { refusals } from '../guard/refusals.ts'
import { service } from './service.ts'

const PROXIES = '127.0.0.0/8,100.64.0.0/10'

const guarded = (t: Test, CALLER_ADDRESS: 'forwarded' | 'peer', PROXY_ADDRESSES = PROXIES) =>
  service(t, async (app) => {
    await app.register(refusals, { record: async () => {} })
    await app.register(allowList, {
      ALLOWED_CALLERS: '10.1.0.0/16, 192.168.1.1/32, fd00::/8',
      CALLER_ADDRESS,
      PROXY_ADDRESSES
    })
    app.get('/', async (request) => request.callerAddress)
  })

test('without a proxy the caller is the peer, whatever the header says', async (t) => {
  const { app } = await guarded(t, 'peer')
  const statusOf = async (remoteAddress: string) =>
    (await app.inject({ url: '/', remoteAddress, headers: { 'x-forwarded-for': '10.1.0.1' } })).statusCode
  for (const address of ['10.1.2.3', '192.168.1.1', '::ffff:10.1.2.3', 'fd00::1']) {
    t.equal(await statusOf(address), 200, address)
  }
  for (const address of ['10.2.0.1', '192.168.1.2', '::ffff:10.2.0.1', 'fe80::1', '']) {
    t.equal(await statusOf(address), 403, address)
  }
})

test('without a proxy the peer may have the address of one', async (t) => {
  const { app } = await guarded(t, 'peer', '10.1.0.0/16')
  const headers = { 'x-forwarded-for': '10.1.0.1' }
  const { statusCode, body } = await app.inject({ url: '/', remoteAddress: '10.1.2.3', headers })
  t.strictSame({ statusCode, body }, { statusCode: 200, body: '10.1.2.3' })
})

test('behind the ingress the caller is the last entry of X-Forwarded-For, which is required', async (t) => {
  const { app, logs } = await guarded(t, 'forwarded')
  const statusOf = async (forwarded?: string) =>
    (
      await app.inject({
        url: '/',
        remoteAddress: '100.100.0.1',
        headers: forwarded === undefined ? {} : { 'x-forwarded-for': forwarded }
      })
    ).statusCode
  for (const list of ['10.1.2.3', '1.2.3.4, 10.1.2.3', '1.2.3.4,fd00::1']) {
    t.equal(await statusOf(list), 200, list)
  }
  for (const list of [undefined, '', '10.1.2.3, 1.2.3.4', '10.1.2.3,', '10.1.2.3, unknown', '10.1.2.3;']) {
    t.equal(await statusOf(list), 403, String(list))
  }
  t.match(logs(), /"address":"1\.2\.3\.4"/, 'the address seen is logged')
})

test('a connection that bypasses the ingress is refused, whatever its header and address', async (t) => {
  const { app } = await guarded(t, 'forwarded')
  for (const remoteAddress of ['10.1.0.1', '192.0.2.1', 'fd00::1']) {
    for (const headers of [{}, { 'x-forwarded-for': '10.1.0.1' }]) {
      t.equal((await app.inject({ url: '/', remoteAddress, headers })).statusCode, 403, remoteAddress)
    }
  }
})

test('an address is the same in its IPv4 and its mapped form', async (t) => {
  const { app } = await guarded(t, 'peer')
  t.equal((await app.inject({ url: '/', remoteAddress: '::ffff:10.1.2.3' })).body, '10.1.2.3')
})

test('each address that calls come from is logged once', async (t) => {
  const { app, logs } = await guarded(t, 'peer')
  for (const remoteAddress of ['10.1.2.3', '10.1.2.3', '10.1.2.4']) {
    await app.inject({ url: '/', remoteAddress })
  }
  const logged = logs()
    .split('\n')
    .filter((line) => line.includes('calls come from this address'))
    .map((line) => JSON.parse(line))
  t.match(logged, [
    { level: 'debug', address: '10.1.2.3' },
    { level: 'debug', address: '10.1.2.4' }
  ])
  t.equal(logged.length, 2)
})
