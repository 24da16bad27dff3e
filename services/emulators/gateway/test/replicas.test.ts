import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Pool } from 'undici'
import { ipOf, startReplica } from '../../../common/test/replicas.ts'
import { freePorts } from '../../processes/probes.ts'
import { asClient, startGateway } from './gateway.ts'

const REPLICAS = 3
const CALLS = [
  { method: 'GET', path: '/patient/1' },
  { method: 'POST', path: '/patient', body: '{"firstName":"Ada"}' },
  { method: 'PUT', path: '/patient/1', body: '{"firstName":"Ada"}' },
  { method: 'GET', path: '/patient/1/tests' },
  { method: 'POST', path: '/patient/search', body: '{}' },
  { method: 'DELETE', path: '/patient/1' }
] as const

type Replica = Awaited<ReturnType<typeof startReplica>>

/** The gateway under load, before three replicas of a service behind one name. */
async function start (t: Test) {
  const port = (await freePorts())[0]!
  const dns = new Set<string>()
  const running = new Map<string, Replica>()
  let started = 0

  /** Starts another replica, which the name has from before it listens. */
  async function join () {
    const ip = ipOf(++started)
    dns.add(ip)
    running.set(ip, await startReplica(t, { HOST: ip, PORT: String(port), LOG_LEVEL: 'info' }))
    return ip
  }

  await join()
  const { url } = await startGateway(t, `http://patient.test:${port}`, {}, async () => [...dns])
  while (started < REPLICAS) await join()

  const pool = new Pool(url, { connections: 32 })
  t.teardown(() => pool.destroy())
  const served = new Map<string, number>()
  const failures: Array<{ statusCode: number, retryAfter: unknown, text: string }> = []
  let calls = 0
  const ending = new AbortController()
  async function load () {
    while (!ending.signal.aborted) {
      const { statusCode, headers, body } = await pool.request({ ...CALLS[calls++ % CALLS.length]!, headers: asClient })
      const text = await body.text()
      if (statusCode === 200) {
        const { replica } = JSON.parse(text)
        served.set(replica, (served.get(replica) ?? 0) + 1)
      } else {
        failures.push({ statusCode, retryAfter: headers['retry-after'], text })
      }
    }
  }
  const loads = Promise.all(Array.from({ length: 32 }, load))

  return {
    join,
    failures,
    served,
    calls: () => calls,
    dns,
    running,
    /** Waits until each of `ips` has served `count` more calls. */
    async serving (ips: Iterable<string>, count = 50) {
      const wanted = new Map([...ips].map((ip) => [ip, (served.get(ip) ?? 0) + count]))
      while ([...wanted].some(([ip, count]) => (served.get(ip) ?? 0) < count)) await sleep(10)
    },
    async end () {
      ending.abort()
      await loads
    }
  }
}

t.test('replicas that come and that leave under load are seen by no client', async (t) => {
  const { join, serving, running, dns, served, failures, calls, end } = await start(t)
  for (let round = 0; round < 3; round++) {
    await serving(running.keys())
    const [ip, leaving] = [...running][0]!
    leaving.kill('SIGTERM')
    running.delete(ip)
    const coming = await join()
    // The name keeps its address until it has ended
    t.equal(await leaving.ended, 0)
    await serving(running.keys())
    t.ok(served.get(coming))
    dns.delete(ip)
  }
  await end()
  t.strictSame(failures, [])
  t.equal(served.size, REPLICAS + 3)
  t.comment(`${calls()} calls: ${[...served.values()].join(', ')}`)
})

t.test('a replica that is killed under load costs no more than what it was doing', async (t) => {
  const { join, serving, running, dns, failures, calls, end } = await start(t)
  for (let round = 0; round < 3; round++) {
    await serving(running.keys())
    const [ip, killed] = [...running][1]!
    const before = failures.length
    killed.kill('SIGKILL')
    running.delete(ip)
    await killed.ended
    // Those that it had are over by then
    await serving(running.keys(), 200)
    const lost = failures.slice(before)
    t.ok(lost.length <= 32, `${lost.length} calls were lost`)
    for (const { statusCode, retryAfter, text } of lost) {
      t.equal(statusCode, 503)
      t.match(retryAfter, /^[1-9]\d*$/)
      t.match(JSON.parse(text), { statusCode: 503, message: 'Service unavailable', activityId: String })
    }
    const seen = calls()
    await serving(running.keys(), 1_000)
    await join()
    await serving(running.keys())
    dns.delete(ip)
    t.equal(failures.length, before + lost.length, `${lost.length} calls were lost, and none of ${calls() - seen} that came later`)
  }
  await end()
})

t.test('a call that comes before the service has any replica is a 503, and one that comes after is served', async (t) => {
  const port = (await freePorts())[0]!
  const dns: string[] = []
  const { call } = await startGateway(t, `http://patient.test:${port}`, {}, async () => dns)
  t.equal((await call('/patient/1', { headers: asClient })).statusCode, 503)
  await startReplica(t, { HOST: ipOf(1), PORT: String(port) })
  dns.push(ipOf(1))
  t.equal((await call('/patient/1', { headers: asClient })).statusCode, 200)
})
