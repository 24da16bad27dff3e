import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Pool } from 'undici'
import { asClient, startGateway } from '../../gateway/test/gateway.ts'
import { startIngress } from './ingress.ts'

// As .taprc has it, for a run without it: tap's own 30 s are short on a busy machine
t.setTimeout(600_000)

type Ingress = Awaited<ReturnType<typeof startIngress>>

const pidOf = async (answer: ReturnType<Ingress['call']>) => (await answer).json().pid as number

/** An answer of the ingress itself, as Envoy's are. */
function isEnvoys (t: Test, {
  statusCode, headers, text
}: Awaited<ReturnType<Ingress['call']>>, status: number, said: RegExp) {
  t.equal(statusCode, status)
  t.match(headers, { server: 'envoy', 'content-type': 'text/plain' })
  t.notHas(headers, 'retry-after')
  t.match(text, said)
}

t.test('no replica runs before the first request, which starts one and is answered by it', async (t) => {
  const { call, replicas } = await startIngress(t)
  t.strictSame(await replicas(), [])
  const pid = await pidOf(call('/seen'))
  t.strictSame(await replicas(), [pid])
  t.equal(await pidOf(call('/seen')), pid)
})

t.test('a burst during the start is answered, all of it, by one replica', async (t) => {
  const { call } = await startIngress(t)
  const answers = await Promise.all(Array.from({
    length: 40
  }, (_, i) => i % 2 ? call('/seen') : call('/echo', { method: 'POST', body: `${i}` })))
  for (const [i, { statusCode, text }] of answers.entries()) {
    t.equal(statusCode, 200)
    if (i % 2 === 0) t.equal(text, `${i}`)
  }
  t.equal(new Set(answers.filter((_, i) => i % 2).map(({ json }) => json().pid)).size, 1)
})

t.test('simultaneous requests start more replicas, up to the maximum, and are spread', async (t) => {
  const {
    call, replicas, ready, hold, release
  } = await startIngress(t, { CONCURRENT_REQUESTS: '2', MAX_REPLICAS: '3' })
  hold()
  const first = Array.from({ length: 9 }, () => call('/held'))
  await ready(3)
  const second = Array.from({ length: 9 }, () => call('/held'))
  release()
  for (const { statusCode } of await Promise.all(first)) t.equal(statusCode, 200)
  const pids = await Promise.all(second.map(pidOf))
  t.equal((await replicas()).length, 3)
  t.ok(new Set(pids).size > 1)
})

t.test('the replica with the fewest requests gets the next', async (t) => {
  const {
    call, ready, hold, release
  } = await startIngress(t, { CONCURRENT_REQUESTS: '1', MAX_REPLICAS: '2' })
  hold()
  const held = [call('/held'), call('/held')]
  await ready(2)
  // Whoever has none is chosen, and both that are held began at the first
  const busy = await pidOf(call('/seen'))
  for (let i = 0; i < 5; i++) t.equal(await pidOf(call('/seen')), busy)
  release()
  const pids = await Promise.all(held.map(pidOf))
  t.notOk(pids.includes(busy))
})

t.test('without requests all end, and the next one starts one again', async (t) => {
  const { call, has } = await startIngress(t, { IDLE_SECONDS: '1' })
  const first = await pidOf(call('/seen'))
  await has(0)
  t.not(await pidOf(call('/seen')), first)
  await has(0)
})

t.test('a request that takes longer than the idle time keeps its replica', async (t) => {
  const { call, replicas, has, hold, release } = await startIngress(t, { IDLE_SECONDS: '0.5' })
  hold()
  const held = call('/held')
  await has(1)
  await sleep(1_500)
  t.equal((await replicas()).length, 1)
  release()
  t.equal((await held).statusCode, 200)
  await has(0)
})

t.test('a replica that is killed costs what it was doing, and is replaced', async (t) => {
  const { call, replicas, has, hold, release } = await startIngress(t)
  const pid = await pidOf(call('/seen'))
  hold()
  const held = call('/held')
  while (!await isHeld(call, pid)) await sleep(5)
  process.kill(pid, 'SIGKILL')
  isEnvoys(t, await held, 502, /connection termination/)
  release()
  const later = await Promise.all(Array.from({ length: 20 }, () => pidOf(call('/seen'))))
  t.equal(new Set(later).size, 1)
  t.not(later[0], pid)
  await has(1)
  t.strictSame(await replicas(), [later[0]])
})

t.test('one that kills itself with a request is a 502, and the request is not sent again', async (t) => {
  const { call, logs } = await startIngress(t)
  isEnvoys(t, await call('/died'), 502, /connection termination/)
  t.equal((await call('/seen')).statusCode, 200)
  t.equal(logs().split('starting it again').length - 1, 1)
})

t.test('replicas that get SIGTERM, one after another under load, cost no request', async (t) => {
  const {
    call, replicas, has
  } = await startIngress(t, { CONCURRENT_REQUESTS: '2', MAX_REPLICAS: '2', DRAIN_SECONDS: '2' })
  const failures: number[] = []
  const answered = { count: 0 }
  const ending = new AbortController()
  const loads = Promise.all(Array.from({ length: 8 }, async () => {
    for (; !ending.signal.aborted; answered.count++) {
      const { statusCode } = await call('/echo', { method: 'POST', body: 'text' })
      if (statusCode !== 200) failures.push(statusCode)
    }
  }))
  for (let round = 0; round < 3; round++) {
    await has(2)
    const [leaving] = await replicas()
    process.kill(leaving!, 'SIGTERM')
    while ((await replicas()).includes(leaving!)) await sleep(100)
    const until = answered.count + 50
    while (answered.count < until) await sleep(5)
  }
  ending.abort()
  await loads
  t.strictSame(failures, [])
})

t.test('the service gets the address of the peer, and the other headers of an ingress', async (t) => {
  const { call, port } = await startIngress(t)
  const { json } = await call('/seen?a=%zz', {
    method: 'DELETE',
    headers: {
      'X-Forwarded-For': '192.0.2.1',
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'forged',
      traceparent: 'kept',
      'x-other': 'kept'
    }
  })
  const { method, url, rawHeaders } = json()
  t.equal(method, 'DELETE')
  t.equal(url, '/seen?a=%zz')
  const fields = Object.groupBy(Array.from({
    length: rawHeaders.length / 2
  }, (_, i) => rawHeaders.slice(2 * i, 2 * i + 2)), ([name]) => name.toLowerCase())
  const values = (name: string) => fields[name]?.map(([, value]) => value)
  t.strictSame(values('x-forwarded-for'), ['127.0.0.1'])
  t.strictSame(values('x-forwarded-proto'), ['http'])
  t.strictSame(values('x-forwarded-host'), [`127.0.0.1:${port}`])
  t.strictSame(values('host'), [`127.0.0.1:${port}`])
  t.strictSame(values('traceparent'), ['kept'])
  t.strictSame(values('x-other'), ['kept'])
})

t.test('while no replica can start requests get a 503 in time, and afterwards a response', async (t) => {
  const { call, breakDown, mend } = await startIngress(t, { WAIT_SECONDS: '1' })
  breakDown()
  isEnvoys(t, await call('/seen'), 503, /no healthy upstream/)
  mend()
  t.equal((await retried(() => call('/seen'))).statusCode, 200)
})

t.test('the gateway answers that as it does for a service that cannot be reached', async (t) => {
  const ingress = await startIngress(t, { WAIT_SECONDS: '1' })
  ingress.breakDown()
  const { call } = await startGateway(t, `http://127.0.0.1:${ingress.port}`)
  const { statusCode, headers, json } = await call('/patient/1', { headers: asClient })
  t.equal(statusCode, 503)
  t.match(headers['retry-after'], /^[1-9]\d*$/)
  t.notHas(headers, 'server')
  t.match(json(), { statusCode: 503, message: 'Service unavailable', activityId: String })
})

t.test('a request waits for a replica that starts at the second attempt', async (t) => {
  const { call, breakDown, mend, logs } = await startIngress(t)
  breakDown()
  const waiting = call('/seen')
  while (!logs().includes('a replica did not start')) await sleep(10)
  mend()
  t.equal((await waiting).statusCode, 200)
})

t.test('no more wait than may', async (t) => {
  const { call, breakDown, mend } = await startIngress(t, { MAX_WAITING: '2' })
  breakDown()
  const answers = Array.from({ length: 3 }, () => call('/seen'))
  isEnvoys(t, await Promise.race(answers), 503, /overflow/)
  mend()
  t.strictSame((await Promise.all(answers)).map(({ statusCode }) => statusCode).toSorted(), [200, 200, 503])
})

t.test('a replica that does not answer in time is a 504', async (t) => {
  const { call, hold, release } = await startIngress(t, { REQUEST_SECONDS: '1' })
  await call('/seen')
  hold()
  isEnvoys(t, await call('/held'), 504, /upstream request timeout/)
  release()
  t.equal((await call('/held')).statusCode, 200)
})

t.test('what the service answers goes on as it is', async (t) => {
  const { call } = await startIngress(t)
  const { statusCode, headers, text } = await call('/refused')
  t.equal(statusCode, 503)
  t.match(headers['content-type'], /^application\/problem\+json/)
  t.notHas(headers, 'server')
  t.equal(text, '{"status":503}')
  t.equal((await call('/none/%zz')).statusCode, 400)
  t.equal((await call('/seen', { method: 'HEAD' })).text, '')
})

t.test('bodies larger than any buffer stream both ways', async (t) => {
  const { port, call } = await startIngress(t)
  await call('/seen')
  const pool = new Pool(`http://127.0.0.1:${port}`)
  t.teardown(() => pool.destroy())
  const part = randomBytes(2 ** 20)
  let sent = 0
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
  const body = Readable.from((async function * () {
    for (; sent < 32; sent++) {
      yield part
      // The answer begins before the request has ended
      if (sent === 0) await begun
    }
  })())
  const answer = await pool.request({ path: '/echo', method: 'POST', body })
  begin()
  t.equal(sent, 0)
  t.ok((await buffer(answer.body)).equals(Buffer.concat(Array(32).fill(part))))
})

t.test('a client that disconnects ends its request', async (t) => {
  const { port, call, hold, release, breakDown, mend, has } = await startIngress(t, { IDLE_SECONDS: '0.5' })
  const gone = async () => {
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.write('GET /held HTTP/1.1\r\nhost: x\r\n\r\n')
    await sleep(200)
    socket.destroy()
  }
  // While it waits for a replica
  breakDown()
  await gone()
  mend()
  await call('/seen')
  // And while the replica has it: nothing keeps that from being idle
  hold()
  await gone()
  await has(0)
  release()
})

for (const signal of ['SIGTERM', 'SIGINT', 'SIGKILL'] as const) {
  t.test(`${signal} ends all that it started`, async (t) => {
    const { call, stop } = await startIngress(t)
    await call('/seen')
    t.equal(await stop(signal), signal === 'SIGKILL' ? null : 0)
  })
}

t.test('settings that are missing are named', async (t) => {
  await t.rejects(startIngress(t, { APP_MODULE: '', IDLE_SECONDS: '0' }))
})

/** Whether the replica `pid` has a request that it holds. */
async function isHeld (call: Ingress['call'], pid: number) {
  // Sent after the held one, over another connection, and answered by the same process
  return await pidOf(call('/seen')) === pid
}

/** Calls until the answer is another than a 503: a start that failed is repeated a moment later. */
async function retried (call: () => ReturnType<Ingress['call']>) {
  for (;;) {
    const answer = await call()
    if (answer.statusCode !== 503) return answer
  }
}
