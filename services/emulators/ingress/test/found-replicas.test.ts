import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { Pool } from 'undici'
import { buildApp } from '../app.ts'
import { loadConfig } from '../config.ts'

/** A replica at its own loopback address, on the port of the first. */
async function startReplica (t: Test, host: string, port = 0) {
  const state = { ready: true, requests: 0, drop: false, forwardedFor: '' }
  const server = createServer((request, response) => {
    if (request.url === '/health/ready') return response.writeHead(state.ready ? 200 : 503).end()
    state.requests++
    state.forwardedFor = String(request.headers['x-forwarded-for'])
    if (state.drop) return request.socket.destroy()
    request.pipe(response.writeHead(200, { 'x-replica': host }))
  })
  await once(server.listen(port, host), 'listening')
  const stop = () => new Promise((resolve) => {
    server.close(resolve)
    server.closeAllConnections()
  })
  t.teardown(stop)
  return { host, state, stop, port: (server.address() as AddressInfo).port }
}

/** The ingress before the replicas at `port` of the addresses, which the test may change. */
async function startIngress (
  t: Test,
  port: number,
  addresses: { of: string[] | undefined },
  settings: NodeJS.ProcessEnv = {}
) {
  const config = loadConfig({
    APP_NAME: 'test', APP_ADDRESS: `app:${port}`, LOG_LEVEL: 'silent', PROBE_SECONDS: '0.05', ...settings
  })
  const app = await buildApp(config, {
    lookup: async (host) => {
      t.equal(host, 'app')
      if (!addresses.of) throw Object.assign(new Error('no such host'), { code: 'ENOTFOUND' })
      return addresses.of
    }
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const pool = new Pool(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}`)
  t.teardown(async () => {
    await pool.destroy()
    await app.close()
  })
  async function call (body?: string, headers = {}) {
    const response = await pool.request({
      method: body === undefined ? 'GET' : 'POST', path: '/x', body, headers
    })
    return {
      status: response.statusCode, replica: response.headers['x-replica'], text: await response.body.text()
    }
  }
  /** Calls until `done` holds for the replicas that answered since the last time. */
  async function callUntil (done: (replicas: Set<unknown>) => boolean) {
    for (;;) {
      const answers = await Promise.all(Array.from({ length: 12 }, () => call()))
      if (done(new Set(answers.map(({ replica }) => replica)))) return answers
    }
  }
  return { call, callUntil }
}

t.test('requests are spread over every address of the host', async (t) => {
  const first = await startReplica(t, '127.0.0.1')
  const second = await startReplica(t, '127.0.0.2', first.port)
  const third = await startReplica(t, '127.0.0.3', first.port)
  const addresses = { of: ['127.0.0.1', '127.0.0.2'] as string[] | undefined }
  const { call, callUntil } = await startIngress(t, first.port, addresses)
  await callUntil((replicas) => replicas.size === 2)
  t.equal(third.state.requests, 0)

  // One that is started and one that is ended since
  addresses.of = ['127.0.0.2', '127.0.0.3']
  await callUntil((replicas) => replicas.size === 2 && !replicas.has(first.host))

  // The known replicas stay while no name is resolved
  addresses.of = undefined
  await second.stop()
  await callUntil((replicas) => replicas.size === 1 && replicas.has(third.host))
  t.equal((await call('a body')).text, 'a body')
})

t.test('a replica that refuses connections costs no request, whatever its body', async (t) => {
  const first = await startReplica(t, '127.0.0.1')
  const second = await startReplica(t, '127.0.0.2', first.port)
  // Probed too seldom to find out before the requests do
  const addresses = { of: ['127.0.0.1', '127.0.0.2'] }
  const { call, callUntil } = await startIngress(t, first.port, addresses, { PROBE_SECONDS: '60' })
  await callUntil((replicas) => replicas.size === 2)
  await first.stop()
  const body = 'x'.repeat(2 ** 20)
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => call(i % 2 ? body : `${i}`)))
  for (const [i, { status, replica, text }] of answers.entries()) {
    t.strictSame([status, replica, text === (i % 2 ? body : `${i}`)], [200, second.host, true])
  }
})

t.test('a request that was sent is not sent again', async (t) => {
  const first = await startReplica(t, '127.0.0.1')
  const second = await startReplica(t, '127.0.0.2', first.port)
  const { call, callUntil } = await startIngress(t, first.port, { of: ['127.0.0.1', '127.0.0.2'] })
  await callUntil((replicas) => replicas.size === 2)
  first.state.requests = second.state.requests = 0
  first.state.drop = second.state.drop = true
  t.equal((await call('once')).status, 502)
  t.equal(first.state.requests + second.state.requests, 1)
})

t.test('a replica that is not ready gets no requests, and the callers wait for one that is', async (t) => {
  const first = await startReplica(t, '127.0.0.1')
  const second = await startReplica(t, '127.0.0.2', first.port)
  const addresses = { of: ['127.0.0.1', '127.0.0.2'] }
  const { call, callUntil } = await startIngress(t, first.port, addresses, { WAIT_SECONDS: '0.5' })
  first.state.ready = false
  await callUntil((replicas) => replicas.size === 1 && replicas.has(second.host))
  second.state.ready = false
  while ((await call()).status !== 503);
  first.state.ready = true
  let answer = await call()
  while (answer.status === 503) answer = await call()
  t.strictSame([answer.status, answer.replica], [200, first.host])
})

t.test('without a replica a request is a 503 in time', async (t) => {
  const { call } = await startIngress(t, 1, { of: undefined }, { WAIT_SECONDS: '0.2' })
  const { status, text } = await call()
  t.strictSame([status, text], [503, 'no healthy upstream'])
})

t.test('the address of the caller is that of the connection', async (t) => {
  const first = await startReplica(t, '127.0.0.1')
  const { call } = await startIngress(t, first.port, { of: ['127.0.0.1'] })
  t.equal((await call('x', { 'x-forwarded-for': '192.0.2.1' })).status, 200)
  t.equal(first.state.forwardedFor, '127.0.0.1')
})

t.test('exactly one of a module and an address must be given', (t) => {
  for (const settings of [{}, { APP_MODULE: 'main.ts', APP_ADDRESS: 'app:1' }]) {
    const error = { name: 'SettingsError', message: /APP_MODULE and APP_ADDRESS/ }
    t.throws(() => loadConfig({ APP_NAME: 'test', ...settings }), error)
  }
  t.throws(() => loadConfig({ APP_NAME: 'test', APP_ADDRESS: 'http://app' }), { message: /APP_ADDRESS/ })
  t.end()
})
