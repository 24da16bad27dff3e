import { once } from 'node:events'
import { request as send } from 'node:http'
import { test } from 'tap'
import { Client } from 'undici'
import { freePorts } from '../../emulators/processes/probes.ts'
import { startReplica } from './replicas.ts'

const HOST = '127.0.0.1'

async function start (t: Parameters<typeof startReplica>[0], settings: NodeJS.ProcessEnv = {}) {
  const [port] = await freePorts() as [number]
  const replica = await startReplica(t, { HOST, PORT: String(port), ...settings })
  const client = new Client(`http://${HOST}:${port}`)
  t.teardown(() => client.destroy())
  const get = async (path: string) => {
    const { statusCode, headers, body } = await client.request({ path, method: 'GET' })
    return { statusCode, connection: headers.connection, body: await body.json() }
  }
  return { ...replica, port, get }
}

test('after SIGTERM a service says so and serves on, until a second SIGTERM', async (t) => {
  const { port, get, kill, logged, ended } = await start(t, { DRAIN_SECONDS: '20' })
  t.match(await get('/health/ready'), { statusCode: 200, connection: 'keep-alive' })
  const slow = send({ host: HOST, port, path: '/patient', method: 'POST' })
  slow.write('{')

  kill('SIGTERM')
  await logged('draining')
  t.match(await get('/health/ready'), { statusCode: 503, connection: 'close', body: { status: 'closing' } })
  t.match(await get('/health/live'), { statusCode: 200, connection: 'close' })
  t.match(await get('/patient/1'), { statusCode: 200, connection: 'close', body: { replica: HOST } })
  t.match(await get('/nothing'), { statusCode: 404, connection: 'close' })

  kill('SIGTERM')
  await logged('closing')
  // The one or the other, as the listening socket is gone or goes
  await t.rejects(get('/patient/1'), { code: /^ECONN(REFUSED|RESET)$/ })
  slow.end('}')
  const [{ statusCode, headers }] = await once(slow, 'response')
  t.equal(statusCode, 200)
  t.equal(headers.connection, 'close')
  t.equal(await ended, 0)
})

test('a service that has served on for long enough ends', async (t) => {
  const { kill, log, ended } = await start(t, { DRAIN_SECONDS: '0.2' })
  kill('SIGTERM')
  t.equal(await ended, 0)
  t.match(log(), /"draining"[^]*"closing"/)
})

test('a service that is not to drain ends at once, as at another signal', async (t) => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const { kill, log, ended } = await start(t, { DRAIN_SECONDS: signal === 'SIGTERM' ? '0' : '20' })
    kill(signal)
    t.equal(await ended, 0)
    t.match(log(), '"closing"')
    t.notMatch(log(), '"draining"')
  }
})

test('a third signal ends a service that cannot close', async (t) => {
  const { port, kill, logged, ended } = await start(t, { DRAIN_SECONDS: '20' })
  const slow = send({ host: HOST, port, path: '/patient', method: 'POST' })
  slow.on('error', () => {})
  slow.write('{')
  await once(slow, 'socket').then(([socket]) => socket.connecting && once(socket, 'connect'))
  kill('SIGTERM')
  await logged('draining')
  kill('SIGTERM')
  await logged('closing')
  kill('SIGTERM')
  t.equal(await ended, 1)
})
