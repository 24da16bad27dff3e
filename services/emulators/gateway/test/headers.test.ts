import t from 'tap'
import { HOST_KEY, asReader, startGateway, startService, urlOf } from './gateway.ts'
import { endToEnd } from '../headers.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00'

const service = await startService(t)
const { call, pass } = await startGateway(t, urlOf(service))

t.test('the gateway sends the service its host key, the actor, the address and the request id', async (t) => {
  const { headers } = await pass('/patient/1')
  t.equal(headers['x-functions-key'], HOST_KEY)
  t.equal(headers['x-audit-actor'], 'test-client')
  t.equal(headers['x-audit-client-address'], '127.0.0.1')
  t.match(headers['x-audit-request-id'], UUID)
  t.equal((await pass('/patient/1', { headers: asReader })).headers['x-audit-actor'], 'test-reader')
})

t.test('a client cannot set what the service believes', async (t) => {
  const forged = {
    'X-Functions-Key': 'forged',
    Forwarded: 'for=forged',
    'X-Forwarded-For': 'forged',
    'X-Forwarded-Host': 'forged',
    'X-Forwarded-Proto': 'forged',
    'X-Forwarded-Port': 'forged',
    'X-Real-Ip': 'forged',
    Baggage: 'name=forged',
    'X-Audit-Actor': 'forged',
    'X-Audit-Client-Address': 'forged',
    'X-Audit-Request-Id': 'forged'
  }
  const { headers } = await pass('/patient/1', { headers: forged })
  t.notMatch(JSON.stringify(headers), 'forged')
})

t.test('other headers go on as they came', async (t) => {
  const { headers } = await pass('/patient/1', {
    headers: { 'If-Match': '"a", W/"b"', 'Idempotency-Key': 'k-1', 'X-Custom': 'ünï', Accept: 'text/plain' }
  })
  t.match(headers, { 'if-match': '"a", W/"b"', 'idempotency-key': 'k-1', accept: 'text/plain' })
})

t.test('headers of one connection end at the gateway', async (t) => {
  const headers = {
    connection: 'close, X-Own',
    'keep-alive': 'timeout=72',
    te: 'trailers',
    upgrade: 'websocket',
    'proxy-authorization': 'x',
    'transfer-encoding': 'chunked',
    'x-own': '1',
    'x-dropped': '1',
    etag: '"1"',
    'set-cookie': ['a', 'b']
  }
  t.strictSame(endToEnd(headers, ['x-dropped']), { etag: '"1"', 'set-cookie': ['a', 'b'] })
})

t.test('a header that is sent twice reaches the service with both values', async (t) => {
  const headers = [...Object.entries(asReader).flat(), 'X-Two', '2', 'x-two', '3']
  const { json } = await call('/patient/1', { headers })
  t.equal(json().headers['x-two'], '2, 3')
})

t.test('a trace that the client began goes on', async (t) => {
  const { headers } = await pass('/patient/1', {
    headers: { traceparent: TRACEPARENT, tracestate: 'vendor=1,other@system=a b' }
  })
  t.equal(headers.traceparent, TRACEPARENT)
  t.equal(headers.tracestate, 'vendor=1,other@system=a b')
})

t.test('a later version of the trace context is read as far as it is known', async (t) => {
  const later = `${TRACEPARENT.replace('00-', 'cc-')}-what-follows`
  t.equal((await pass('/patient/1', { headers: { traceparent: later } })).headers.traceparent, later)
})

t.test('the gateway starts a trace where the client sends none that is valid', async (t) => {
  const malformed = [
    undefined, '', 'x', TRACEPARENT.toUpperCase(), `${TRACEPARENT}-more`, TRACEPARENT.replace('00-', 'ff-'),
    '00-00000000000000000000000000000000-b7ad6b7169203331-01',
    '00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01'
  ]
  for (const traceparent of malformed) {
    const { headers } = await pass('/patient/1', { headers: { traceparent, tracestate: 'vendor=1' } })
    t.match(headers.traceparent, /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/, String(traceparent))
    t.not(headers.traceparent, traceparent)
    t.notHas(headers, 'tracestate')
  }
})

t.test('a malformed tracestate goes no further, its trace does', async (t) => {
  for (const tracestate of [
    'x', 'Upper=1', 'a=1,a=2', 'a=b=c', Array.from({ length: 33 }, (_, i) => `k${i}=1`).join(',')
  ]) {
    const { headers } = await pass('/patient/1', { headers: { traceparent: TRACEPARENT, tracestate } })
    t.equal(headers.traceparent, TRACEPARENT)
    t.notHas(headers, 'tracestate', tracestate)
  }
})
