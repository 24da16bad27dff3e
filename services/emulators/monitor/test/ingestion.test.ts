import { gzipSync } from 'node:zlib'
import t from 'tap'
import { createPatient, metric, newId, request } from './envelopes.ts'
import { startMonitor } from './monitor.ts'

const monitor = await startMonitor(t, { BODY_BYTES: '65536' })
const { track } = monitor
const json = { 'content-type': 'application/json' }
const stream = { 'content-type': 'application/x-json-stream' }
const gzip = { ...json, 'content-encoding': 'gzip' }
const all = (itemsReceived: number) => ({
  statusCode: 200,
  answer: { itemsReceived, itemsAccepted: itemsReceived, errors: [] }
})
const isThere = async (id: string) => (await monitor.page(`/api/operations/${id}`)).status === 200

t.test('accepts a JSON array, one item, and one item a line, gzipped or not, at either path', async (t) => {
  const bodies: Array<
    [headers: Record<string, string>, body: (items: object[]) => string | Buffer, path?: string]
  > = [
    [json, (items) => JSON.stringify(items)],
    [json, (items) => JSON.stringify(items), '/v2/track'],
    [stream, (items) => items.map((item) => JSON.stringify(item)).join('\n') + '\r\n'],
    [gzip, (items) => gzipSync(JSON.stringify(items))],
    [
      { ...stream, 'content-encoding': 'gzip' },
      (items) => gzipSync(items.map((item) => JSON.stringify(item)).join('\n'))
    ]
  ]
  for (const [headers, body, path] of bodies) {
    const operationId = newId()
    t.same(await track(body(createPatient(operationId, Date.now())), headers, path), all(8))
    t.ok(await isThere(operationId))
  }
  t.same(await track(JSON.stringify(request('GET /'))), all(1))
  t.same(await track([metric('key.age_days', 7)]), all(1))
})

t.test('stores the valid items of a batch, and reports the index of each other', async (t) => {
  const operationId = newId()
  const { statusCode, answer } = await track([{}, request('GET /', { operationId }), 'text'])
  t.equal(statusCode, 206)
  t.match(answer, {
    itemsReceived: 3,
    itemsAccepted: 1,
    errors: [
      { index: 0, statusCode: 400 },
      { index: 2, statusCode: 400 }
    ]
  })
  t.ok(await isThere(operationId))
  const lines = await track(`{"broken\n${JSON.stringify(request('GET /'))}\n`, stream)
  t.match(lines, {
    statusCode: 206,
    answer: { itemsReceived: 2, itemsAccepted: 1, errors: [{ index: 0, message: '# must be JSON' }] }
  })
})

t.test('refuses a body without any valid item', async (t) => {
  const refused = (statusCode: number) => ({
    statusCode,
    answer: { itemsAccepted: 0, errors: statusCode === 400 ? [] : [{ statusCode }] }
  })
  const tooMany = '[' + '0,'.repeat(10_000) + '0]'
  const cases: Array<[body: string | Buffer, headers: Record<string, string>, statusCode: number]> = [
    ['', json, 400],
    ['[]', json, 400],
    ['[{}]', json, 400],
    ['{"broken', json, 400],
    ['name=value\nother=value', stream, 400],
    [Buffer.from([0x22, 0xff, 0x22]), json, 400],
    ['not packed', gzip, 400],
    [JSON.stringify([request('GET /')]), { ...json, 'content-encoding': 'br' }, 415],
    ['x'.repeat(65_537), json, 413],
    [gzipSync(`["${'x'.repeat(1_000_000)}"]`), gzip, 413],
    [tooMany, json, 413]
  ]
  for (const [body, headers, statusCode] of cases) t.match(await track(body, headers), refused(statusCode))
  t.notMatch(monitor.logs(), '"level":"error"')
})

t.test('stores an item once that is sent again', async (t) => {
  const operationId = newId()
  const items = createPatient(operationId, Date.now()).filter(({ data }) => data.baseType !== 'EventData')
  const routes = async () =>
    (await monitor.json('/api/routes')).routes.find(
      ({ role, route }: Record<string, string>) => role === 'gateway' && route === 'POST /patient'
    ).total.requests
  await track(items)
  const before = await routes()
  t.same(await track(items), all(7))
  t.equal((await monitor.json(`/api/operations/${operationId}`)).items, 7)
  t.equal(await routes(), before)
})

t.test('receives telemetry on its own port only', async (t) => {
  t.equal((await fetch(`${monitor.url}/v2.1/track`, { method: 'POST', body: '[]' })).status, 404)
  const { statusCode } = await monitor.ingestion.request({ method: 'GET', path: '/api/operations' })
  t.equal(statusCode, 404)
})
