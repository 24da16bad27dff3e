import t from 'tap'
import { readEnvelope } from '../envelope.ts'
import { Traffic } from '../figures.ts'
import { request, type ItemOptions } from './envelopes.ts'

const NOW = 1_764_000_000_000
const MINUTE = 60_000

function trafficOf (...options: Array<ItemOptions & { name?: string }>) {
  const traffic = new Traffic()
  for (const { name = 'GET /patient/:patientId', ...one } of options) {
    traffic.add(readEnvelope(request(name, { time: NOW - MINUTE, ...one }))!, NOW)
  }
  return traffic
}

const within = (value: number | undefined, wanted: number) => Math.abs(value! - wanted) <= wanted * 0.02

t.test('reports p50 and p95 within 2%', async (t) => {
  for (const scale of [0.05, 1, 40, 3_000]) {
    const { recent, total } = trafficOf(
      ...Array.from({ length: 100 }, (_, i) => ({ ms: (i + 1) * scale }))
    ).routes(NOW)[0]!
    for (const { requests, p50, p95 } of [recent, total]) {
      t.equal(requests, 100)
      t.ok(within(p50, 50 * scale), `${p50} is about ${50 * scale}`)
      t.ok(within(p95, 95 * scale), `${p95} is about ${95 * scale}`)
    }
  }
})

t.test('counts a sampled request for the number that it represents', async (t) => {
  const slow = Array.from({ length: 10 }, () => ({ ms: 100, success: false }))
  const { requests, failures, p50, p95 } = trafficOf(
    ...Array.from({ length: 9 }, () => ({ ms: 5, sampleRate: 10 })),
    ...slow
  ).routes(NOW)[0]!.total
  t.equal(requests, 100)
  t.equal(failures, 10)
  t.ok(within(p50, 5), 'though most of those that came took longer')
  t.ok(within(p95, 100))
})

t.test('separates the last five minutes from the total since the start', async (t) => {
  const traffic = trafficOf(
    { ms: 10, time: NOW - 20 * MINUTE, success: false },
    { ms: 20, time: NOW - 4 * MINUTE }
  )
  const { recent, total } = traffic.routes(NOW)[0]!
  t.match([recent.requests, recent.failures, total.requests, total.failures], [1, 0, 2, 1])
  t.ok(within(recent.p50, 20))
  t.match(traffic.routes(NOW + 10 * MINUTE), [
    { recent: { requests: 0, p50: undefined }, total: { requests: 2 } }
  ])
})

t.test('counts a request of a sender whose clock is ahead as recent', async (t) => {
  t.match(trafficOf({ time: NOW + 60 * MINUTE }).routes(NOW), [{ recent: { requests: 1 } }])
})

t.test('separates roles and routes, and sums up the routes of a role', async (t) => {
  const traffic = trafficOf(
    { role: 'patient' },
    { role: 'gateway' },
    { role: 'gateway', name: 'POST /patient', success: false }
  )
  t.same(
    traffic.routes(NOW).map(({ role, route, total }) => [role, route, total.requests, total.failures]),
    [
      ['gateway', 'GET /patient/:patientId', 1, 0],
      ['gateway', 'POST /patient', 1, 1],
      ['patient', 'GET /patient/:patientId', 1, 0]
    ]
  )
  t.match(traffic.roles(NOW), [
    { role: 'patient', requests: 1, failures: 0 },
    { role: 'gateway', requests: 2, failures: 1 }
  ])
})

t.test('keeps at most two hundred routes, and counts all requests', async (t) => {
  const routes = trafficOf(...Array.from({ length: 300 }, (_, i) => ({ name: `GET /${i}` }))).routes(NOW)
  t.equal(routes.length, 201)
  t.match(
    routes.find(({ role }) => role === 'others'),
    { route: 'others', total: { requests: 100 } }
  )
})
