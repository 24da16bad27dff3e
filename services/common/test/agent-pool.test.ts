import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { createServer as createTcpServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { getCACertificates, setDefaultCACertificates, type TLSSocket } from 'node:tls'
import { test, type Test } from 'tap'
import type { Dispatcher } from 'undici'
import { makeCertificates } from '../../cli/system/certificates.ts'
import { AgentPool } from '../http/agent-pool.ts'
import { connectTo, isBroken, KEPT_MS, type Via } from '../http/upstream.ts'
import { ipOf } from './replicas.ts'
import { freePorts } from '../../emulators/processes/probes.ts'
import { requester } from './requester.ts'

const direct: Via = (connect) => connect

/** A pool to what listens at `server`. */
async function pooled (t: Test, server: Server, { protocol = 'http:', name = '127.0.0.1', via = direct } = {}) {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => sockets.add(socket))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const host = `${name}:${port}`
  const pool = new AgentPool(`${protocol}//${host}`, { connectMs: 300, via })
  t.teardown(async () => {
    await pool.destroy()
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { request } = requester(pool)
  return {
    pool,
    host,
    sockets,
    async call (options: Partial<Dispatcher.RequestOptions> = {}) {
      const { statusCode, body } = await request({ method: 'POST', path: '/', body: '{}', ...options })
      return { statusCode, text: await body.text() }
    }
  }
}

const echo: RequestListener = async (request, response) => {
  let body = ''
  for await (const chunk of request) body += chunk
  response.writeHead(201).end(JSON.stringify({ method: request.method, url: request.url, headers: request.headers, body }))
}

test('a call is sent as it is, to the name of the host', async (t) => {
  const { call, host } = await pooled(t, createServer(echo))
  const { statusCode, text } = await call({ path: '/audit', headers: { 'x-one': 'one' }, body: '{"name":"Ä"}' })
  t.equal(statusCode, 201)
  t.match(JSON.parse(text), { method: 'POST', url: '/audit', body: '{"name":"Ä"}', headers: { host, 'x-one': 'one', 'content-length': '13' } })
  t.match(JSON.parse((await call({ method: 'GET', body: null })).text), { method: 'GET', body: '' })
})

test('connections are kept', async (t) => {
  const { call, sockets } = await pooled(t, createServer(echo))
  for (let i = 0; i < 5; i++) await call()
  t.equal(sockets.size, 1)
  for (let i = 0; i < 3; i++) await Promise.all(Array.from({ length: 20 }, () => call()))
  t.equal(sockets.size, 20)
})

test('an answer of any size comes whole', async (t) => {
  const { call } = await pooled(t, createServer((request, response) => { request.resume().once('end', () => response.end('x'.repeat(5_000_000))) }))
  t.equal((await call()).text.length, 5_000_000)
})

test('a connection that breaks fails its call alone, before the answer and within it', async (t) => {
  const { call } = await pooled(t, createServer((request, response) => {
    if (request.url === '/at-once') request.socket.destroy()
    else if (request.url === '/later') response.write('{', () => request.socket.destroy())
    else response.end('{}')
  }))
  for (const path of ['/at-once', '/later']) {
    const [broken, whole] = await Promise.allSettled([call({ path }), call()])
    t.ok(isBroken((broken as PromiseRejectedResult).reason), path)
    t.equal(whole.status, 'fulfilled')
  }
})

test('a connection that is refused or does not come about in time fails its call', async (t) => {
  const taken: Socket[] = []
  const silent = await pooled(t, createTcpServer((socket) => taken.push(socket)), { protocol: 'https:' })
  await t.rejects(silent.call(), { code: 'CONNECT_LATE' })
  await once(taken[0]!.resume(), 'close')

  const server = createServer(echo)
  const { call } = await pooled(t, server)
  await once(server.close(), 'close')
  await t.rejects(call(), { code: 'ECONNREFUSED' })
})

/** A server for https://audit.localhost that this process trusts. */
async function trusted (t: Test, answer: RequestListener) {
  const dir = t.testdir()
  await makeCertificates(dir, ['audit'])
  const before = getCACertificates('default')
  setDefaultCACertificates([readFileSync(join(dir, 'ca.pem'), 'utf8')])
  t.teardown(() => setDefaultCACertificates(before))
  return createTlsServer({ key: readFileSync(join(dir, 'audit-key.pem')), cert: readFileSync(join(dir, 'audit.pem')) }, answer)
}

test('over TLS, a connection to an address is for the name of the host, and the next one resumes its session', async (t) => {
  const seen: Array<{ servername: unknown, reused: boolean }> = []
  const server = await trusted(t, (request, response) => {
    const socket = request.socket as TLSSocket & { servername: unknown }
    seen.push({ servername: socket.servername, reused: socket.isSessionReused() })
    response.writeHead(201, { connection: 'close' }).end(request.headers.host)
  })
  const via: Via = (connect) => (target, callback) => connect({ ...target, hostname: '127.0.0.1' }, callback)
  const { call, host } = await pooled(t, server, { protocol: 'https:', name: 'audit.localhost', via })
  for (let i = 0; i < 2; i++) t.same(await call(), { statusCode: 201, text: host })
  t.same(seen, [{ servername: 'audit.localhost', reused: false }, { servername: 'audit.localhost', reused: true }])
})

test('a call that is connecting to an address that goes is made to another', async (t) => {
  const port = (await freePorts())[0]!
  const silent = createTcpServer((socket) => t.teardown(() => socket.destroy()))
  const server = await trusted(t, echo)
  for (const [i, one] of [silent, server].entries()) await once(one.listen(port, ipOf(i + 1)), 'listening')
  let ips = [ipOf(1)]
  const service = connectTo(`https://audit.localhost:${port}`, {
    open: (origin, via) => new AgentPool(origin, { connectMs: 30_000, via }),
    lookup: async () => ips,
    names: { target: 'audit', route: String }
  })
  t.teardown(async () => {
    await service.destroy()
    server.closeAllConnections()
    for (const one of [silent, server]) one.close()
  })
  const connecting = once(silent, 'connection')
  const calls = Array.from({ length: 4 }, () => requester(service).request({ method: 'POST', path: '/', body: '{}' }))
  await connecting
  ips = [ipOf(2)]
  for (const { statusCode, body } of await Promise.all(calls)) {
    t.equal(statusCode, 201)
    await body.dump()
  }
})

test('an answer may take longer than a connection is kept without a call', async (t) => {
  const { call } = await pooled(t, createServer((_request, response) => { setTimeout(() => response.end('{}'), KEPT_MS + 500) }))
  t.equal((await call()).statusCode, 200)
})

test('a call that is given up ends its connection', async (t) => {
  const arrived = Promise.withResolvers<Socket>()
  const { pool } = await pooled(t, createServer(({ socket }) => arrived.resolve(socket)))
  const { promise: failed, resolve } = Promise.withResolvers<Error>()
  let controller: Dispatcher.DispatchController
  pool.dispatch({ method: 'POST', path: '/', body: '{}' }, {
    onRequestStart (one) { controller = one },
    onResponseStart () {},
    onResponseData () {},
    onResponseEnd () {},
    onResponseError: (_controller, error) => resolve(error)
  })
  const socket = await arrived.promise
  controller!.abort(new Error('given up'))
  t.equal((await failed).message, 'given up')
  await once(socket, 'close')
})

test('a close waits for the calls under way, and no call comes after; an end at once breaks them off', async (t) => {
  const held = Promise.withResolvers<void>()
  const { pool, call, sockets } = await pooled(t, createServer(async (_request, response) => {
    await held.promise
    response.end('{}')
  }))
  const calls = [call(), call(), call()]
  while (sockets.size < 3) await sleep(1)
  const closed = pool.close()
  await t.rejects(call(), { code: 'POOL_CLOSED' })
  held.resolve()
  for (const answer of calls) t.equal((await answer).statusCode, 200)
  await closed

  const other = await pooled(t, createServer(() => {}))
  const unanswered = [other.call(), other.call(), other.call()]
  while (other.sockets.size < 3) await sleep(1)
  await Promise.all([other.pool.destroy(), ...unanswered.map((answer) => t.rejects(answer, { code: 'POOL_CLOSED' }))])
})
