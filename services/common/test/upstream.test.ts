import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { buildConnector, errors, Pool, type Dispatcher } from 'undici'
import { connectTo, type Lookup } from '../http/upstream.ts'
import { ipOf, replicas } from './replicas.ts'
import { requester } from './requester.ts'

interface Options {
  connect?: buildConnector.connector
  connections?: number
  lookup?: Lookup
}

const connect = buildConnector({ timeout: 10_000 })

const ok = (number: number): RequestListener => (request, response) => {
  request.resume().once('end', () => response.end(String(number)))
}

/** A client of `origin`, whose host has the addresses of `dns` at each moment. */
function client (t: Test, origin: string, dns: { ips: string[] | Error }, { connections, connect: connector = connect, ...options }: Options = {}) {
  const lookup = async () => {
    if (dns.ips instanceof Error) throw dns.ips
    return dns.ips
  }
  const upstream = connectTo(origin, {
    open: (origin, via) => new Pool(origin, { connect: via(connector), connections }),
    lookup,
    names: { target: 'service', route: String },
    ...options
  })
  const { request } = requester(upstream)
  t.teardown(() => upstream.destroy())
  return {
    upstream,
    async call (options: Partial<Dispatcher.RequestOptions> = {}) {
      const { statusCode, body } = await request({ path: '/', method: 'GET', ...options })
      return { statusCode, text: await body.text() }
    }
  }
}

/** Calls until `isSo`. */
async function until (isSo: () => boolean, call: () => Promise<unknown>) {
  while (!isSo()) {
    await call()
    await sleep(5)
  }
}

const post = (body: Dispatcher.RequestOptions['body'] = '{}'): Partial<Dispatcher.RequestOptions> => ({ method: 'POST', body })

test('calls one after another go to each address in turn, over one kept connection each', async (t) => {
  const { origin, ips, calls, connections } = await replicas(t, 3, ok)
  const { call } = client(t, origin, { ips })
  for (let i = 0; i < 150; i++) t.equal((await call(i % 2 === 0 ? {} : post())).statusCode, 200)
  t.strictSame(calls, [50, 50, 50])
  t.strictSame(connections, [1, 1, 1])
})

test('calls at the same time are spread as evenly', async (t) => {
  const { origin, ips, calls } = await replicas(t, 3, ok)
  const { call } = client(t, origin, { ips }, { connections: 4 })
  await Promise.all(Array.from({ length: 32 }, async () => { for (let i = 0; i < 30; i++) await call() }))
  t.strictSame(calls, [320, 320, 320])
})

test('a service is told the name of its host', async (t) => {
  const { origin, ips } = await replicas(t, 2, () => (request, response) => response.end(request.headers.host))
  const { call } = client(t, origin, { ips })
  for (let i = 0; i < 4; i++) t.equal((await call()).text, new URL(origin).host)
})

test('an address that comes is taken up, and one that goes is let go of once its calls are over', async (t) => {
  const held = Promise.withResolvers<void>()
  const { origin, calls } = await replicas(t, 3, (number) => async (request, response) => {
    if (request.url === '/held') await held.promise
    response.end(String(number))
  })
  const dns = { ips: [ipOf(1)] }
  const { call } = client(t, origin, dns)
  t.equal((await call()).text, '1')
  const inFlight = call({ path: '/held' })
  while (calls[0] !== 2) await sleep(1)

  dns.ips = [ipOf(2), ipOf(1)]
  await until(() => calls[1]! > 0, call)
  dns.ips = [ipOf(3), ipOf(2)]
  await until(() => calls[2]! > 0, call)
  const before = calls[0]
  for (let i = 0; i < 20; i++) t.match((await call()).text, /[23]/)
  t.equal(calls[0], before)
  held.resolve()
  t.equal((await inFlight).text, '1')
})

test('a lookup that fails leaves the known addresses in use', async (t) => {
  const { origin, ips, calls } = await replicas(t, 2, ok)
  const dns: { ips: string[] | Error } = { ips }
  let looks = 0
  const { call } = client(t, origin, dns, {
    lookup: async () => {
      looks++
      if (dns.ips instanceof Error) throw dns.ips
      return dns.ips
    }
  })
  await call()
  for (const failure of [new Error('ENOTFOUND'), []]) {
    dns.ips = failure
    const before = looks
    await until(() => looks >= before + 2, call)
  }
  t.ok(calls.every((count) => count > 1))
})

test('while no address is known each call looks for one', async (t) => {
  const { origin, ips } = await replicas(t, 2, ok)
  const dns: { ips: string[] | Error } = { ips: new Error('no such host') }
  const { call } = client(t, origin, dns)
  await t.rejects(call(), { message: 'no such host' })
  dns.ips = []
  await t.rejects(call(post()), { code: 'UPSTREAM_NO_ADDRESS' })
  dns.ips = ips
  t.equal((await call(post())).statusCode, 200)
})

test('a call that an address refuses is tried on the others, whatever it is', async (t) => {
  const { origin, ips, calls, servers } = await replicas(t, 3, ok)
  for (const server of servers.slice(0, 2)) await once(server.close(), 'close')
  const { call } = client(t, origin, { ips })
  for (let i = 0; i < 10; i++) {
    t.equal((await call()).text, '3')
    t.equal((await call(post())).text, '3')
    t.equal((await call(post(Readable.from(['{', '}'])))).text, '3')
    t.equal((await call({ method: 'DELETE' })).text, '3')
  }
  t.equal(calls[2], 40)

  await once(servers[2]!.close(), 'close')
  const other = client(t, origin, { ips })
  for (let i = 0; i < 3; i++) await t.rejects(other.call(post()), { code: 'ECONNREFUSED' })
})

test('an address that refused is back in turn after a while', async (t) => {
  const { port, origin, ips, calls, servers } = await replicas(t, 2, ok)
  await once(servers[0]!.close(), 'close')
  const { call } = client(t, origin, { ips })
  for (let i = 0; i < 10; i++) t.equal((await call()).text, '2')
  await once(servers[0]!.listen(port, ips[0]), 'listening')
  await until(() => calls[0]! > 0, call)
  const before = [...calls]
  for (let i = 0; i < 20; i++) await call()
  t.strictSame(calls, before.map((count) => count + 10))
})

test('a call that cannot connect in time is tried on the others, and only one a second is put to it', async (t) => {
  const { origin, ips } = await replicas(t, 3, ok)
  let attempts = 0
  const { call } = client(t, origin, { ips }, {
    connect (target, callback) {
      if (target.hostname !== ipOf(2)) return connect(target, callback)
      attempts++
      setTimeout(callback, 50, new errors.ConnectTimeoutError(), null)
    }
  })
  const began = performance.now()
  for (let i = 0; i < 60; i++) t.match((await call(post())).text, /[13]/)
  t.ok(attempts >= 1 && attempts <= 1 + (performance.now() - began) / 1_000, `${attempts} attempts`)
})

test('a call that is connecting to an address that goes does not wait for it', async (t) => {
  const { origin, ips } = await replicas(t, 2, ok)
  const dns = { ips }
  const connecting = Promise.withResolvers<void>()
  const { call } = client(t, origin, dns, {
    connections: 1,
    connect (target, callback) {
      if (target.hostname === ipOf(1)) connecting.resolve()
      else connect(target, callback)
    }
  })
  // Some of them wait for the one connection that is made
  const calls = Array.from({ length: 6 }, () => call(post()))
  await connecting.promise
  dns.ips = [ipOf(2)]
  for (const { text } of await Promise.all(calls)) t.equal(text, '2')
})

test('a call whose caller gave up is not tried on the others', async (t) => {
  const { origin, ips, calls } = await replicas(t, 2, ok)
  const abort = new AbortController()
  const { call } = client(t, origin, { ips }, {
    connect (_target, callback) {
      abort.abort()
      setImmediate(callback, new errors.ConnectTimeoutError(), null)
    }
  })
  await t.rejects(call({ ...post(), signal: abort.signal }))
  t.strictSame(calls, [0, 0])
})

test('what was sent is not sent again, and goes to the others next', async (t) => {
  const { origin, ips, calls } = await replicas(t, 2, (number) => (request, response) => {
    if (number === 1) request.socket.destroy()
    else response.end(String(number))
  })
  const { call } = client(t, origin, { ips })
  await t.rejects(call(post()), { code: 'UND_ERR_SOCKET' })
  t.strictSame(calls, [1, 0])
  t.equal((await call(post())).text, '2')
  t.equal((await call(post())).text, '2')
})

test('an address whose service ends its connections is asked last, unless it had another reason', async (t) => {
  const state = { leaves: true, statusCode: 200 }
  const { origin, ips, calls } = await replicas(t, 3, (number) => (_request, response) => {
    response.writeHead(state.statusCode, number === 1 && state.leaves ? { connection: 'close' } : {}).end()
  })
  const dns = { ips }
  const { call } = client(t, origin, dns)
  state.statusCode = 400
  for (let i = 0; i < 6; i++) await call()
  t.strictSame(calls, [2, 2, 2])
  state.statusCode = 200
  for (let i = 0; i < 12; i++) await call()
  t.equal(calls[0], 3)
  dns.ips = [ipOf(1)]
  await until(() => calls[0]! > 3, call)
  for (let i = 0; i < 5; i++) t.equal((await call()).statusCode, 200, 'where there is no other, it serves on')
})

test('an address instead of a name is not looked up', async (t) => {
  const { port, ips, calls } = await replicas(t, 1, ok)
  for (const origin of [`http://${ips[0]}:${port}`, 'http://[::1]:1']) {
    const { upstream, call } = client(t, origin, { ips: new Error('looked up') })
    t.type(upstream, Pool)
    if (origin.includes(ips[0]!)) t.equal((await call()).statusCode, 200)
  }
  t.equal(calls[0], 1)
})

test('names are those that the system knows', async (t) => {
  const { port } = await replicas(t, 1, ok)
  const { call } = client(t, `http://localhost:${port}`, { ips: [] }, { lookup: undefined })
  t.equal((await call()).text, '1')
})

test('a close waits for the calls under way, and no call comes after', async (t) => {
  const held = Promise.withResolvers<void>()
  const { origin, ips, calls } = await replicas(t, 2, (number) => async (_request, response) => {
    await held.promise
    response.end(String(number))
  })
  const { upstream, call } = client(t, origin, { ips })
  const inFlight = [call(), call()]
  while (calls[0]! + calls[1]! < 2) await sleep(1)
  const closed = upstream.close()
  await t.rejects(call(), { code: 'UND_ERR_CLOSED' })
  held.resolve()
  for (const answer of inFlight) t.equal((await answer).statusCode, 200)
  await closed
})
