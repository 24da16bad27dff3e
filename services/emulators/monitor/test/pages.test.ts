import { request as httpRequest } from 'node:http'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import t from 'tap'
import { mongo, startEmbedded } from '../../../common/test/mongo.ts'
import { createPatient, exception, failedCreate, newId, request } from './envelopes.ts'
import { startMonitor } from './monitor.ts'

const monitor = await startMonitor(t)
const { page, track } = monitor

async function askedAs (host: string | undefined, path = '/api/operations') {
  const call = httpRequest(monitor.url + path, {
    setHost: false,
    headers: host === undefined ? {} : { host }
  }).end()
  const [response] = (await once(call, 'response')) as [IncomingMessage]
  response.resume()
  return response.statusCode
}

t.test('escapes whatever was sent', async (t) => {
  const operationId = newId()
  const evil = '<script>alert(1)</script>"\'&<img src=x onerror=alert(1)>'
  await track([
    request(evil, { operationId, role: evil, code: evil, success: false, properties: { [evil]: evil } }),
    exception(evil, evil, { operationId, role: evil })
  ])
  const pages = [
    '/',
    '/routes',
    `/operations/${operationId}`,
    `/?id=${encodeURIComponent(evil)}`,
    `/operations/${encodeURIComponent(evil)}`
  ]
  for (const path of pages) {
    const { text } = await page(path)
    t.notMatch(text, /<script>|<img|alert\(1\)<\/script>/i, path)
    t.match(text, '&lt;script&gt;', path)
  }
})

t.test('answers under the host names of this machine only', async (t) => {
  for (const host of ['localhost', 'localhost:80', 'LOCALHOST:8080', '127.0.0.1:1', '[::1]:8080']) {
    t.equal(await askedAs(host), 200, host)
  }
  for (const host of [
    'example.com',
    'localhost.example.com',
    '127.0.0.1.example.com:80',
    '[::2]',
    '',
    'localhost:80:80'
  ]) {
    t.not(await askedAs(host), 200, host)
    t.not(await askedAs(host, '/monitor.css'), 200, host)
    t.not(await askedAs(host, '/nothing'), 404, host)
  }
  const named = await startMonitor(t, { PAGE_NAMES: 'monitor.internal, localhost' })
  t.equal((await named.app.inject({ url: '/', headers: { host: 'monitor.internal:8080' } })).statusCode, 200)
  t.equal((await named.app.inject({ url: '/', headers: { host: '127.0.0.1' } })).statusCode, 421)
})

t.test('lets a page load only its own files, and forbids caches and frames', async (t) => {
  const { headers } = await page('/')
  t.equal(
    headers.get('content-security-policy'),
    "default-src 'none';style-src 'self';script-src 'self';connect-src 'self';img-src 'self';" +
      "form-action 'self';base-uri 'none';frame-ancestors 'none'"
  )
  t.equal(headers.get('cache-control'), 'no-store')
  t.equal(headers.get('x-content-type-options'), 'nosniff')
})

t.test('has no route that changes anything', async (t) => {
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
    for (const path of ['/', '/routes', '/api/operations', `/operations/${newId()}`]) {
      t.equal((await fetch(monitor.url + path, { method })).status, 404)
    }
  }
})

t.test('finds an operation by its id, its beginning, or a whole traceparent', async (t) => {
  const operationId = newId()
  await track(createPatient(operationId, Date.now()))
  for (const id of [
    operationId,
    operationId.slice(0, 12),
    ` ${operationId.toUpperCase()}\n`,
    `00-${operationId}-${newId(16)}-01`
  ]) {
    t.equal((await page(`/?id=${encodeURIComponent(id)}`)).url, `/operations/${operationId}`)
  }
  const [one, other] = ['0', '1'].map((digit) => `feed${digit}${newId().slice(5)}`)
  await track([request('GET /one', { operationId: one }), request('GET /other', { operationId: other })])
  const { text } = await page('/?id=feed')
  t.match(text, one)
  t.match(text, other)
  t.match((await page('/?id=no-such')).text, 'No operation begins with <code>no-such</code>')
  t.match((await page('/?id=')).status, 200)
})

t.test('answers 404 for an operation that has not arrived', async (t) => {
  const { status, text } = await page(`/operations/${newId()}`)
  t.equal(status, 404)
  t.match(text, 'There is no telemetry of this operation.')
  t.match(text, 'No audit register is connected.')
  t.equal((await page('/nothing')).status, 404)
})

t.test('returns the same as JSON', async (t) => {
  const operationId = newId()
  await track(failedCreate(operationId, Date.now()))
  const { operations } = await monitor.json('/api/operations')
  t.match(
    operations.find(({ id }: { id: string }) => id === operationId),
    { name: 'POST /patient', failed: true, roles: ['gateway', 'patient'] }
  )
  const { tree } = await monitor.json(`/api/operations/${operationId}`)
  t.match(tree, [
    {
      role: 'gateway',
      kind: 'request',
      failed: true,
      origin: false,
      children: [{ kind: 'dependency', children: [{ role: 'patient' }] }]
    }
  ])
  t.match(tree[0].children[0].children[0].children[0], {
    name: 'POST /audit',
    origin: true,
    attributes: { 'error.type': 'ECONNREFUSED' }
  })
  t.equal((await page(`/api/operations/${newId()}`)).status, 404)
  t.same(await monitor.json('/health/ready'), { status: 'ready' })
})

t.test('shows the audit records of an operation', async (t) => {
  const { connection, db } = await mongo(t)
  const operationId = newId()
  const record = (id: string, operationId: string, more: object) => ({
    id,
    seq: 1,
    createdDate: new Date(),
    operationId,
    sourceSystemName: 'patient',
    resource: { type: 'patient', id: 'patient-1', operation: 'update' },
    actor: 'local-client',
    ...more
  })
  const attempt = newId()
  const records = [
    record('other-record', newId(), {}),
    record(attempt, operationId, {}),
    record('its-end', operationId, { outcome: 'failure', attemptOf: attempt })
  ]
  const search = record('search', operationId, {
    resource: { type: 'patient', operation: 'search' },
    criteria: ['lastName'],
    disclosed: Array.from({ length: 25 }, (_, i) => ({ id: `disclosed-${i}`, version: '1' }))
  })
  await db.collection('blocks').insertMany([
    { firstSeq: 1, records },
    { firstSeq: 4, records: [search] }
  ])

  const beside = await startMonitor(t, {
    AUDIT_DB_VIEWER_CONNECTION: connection,
    DATABASE_NAME: db.databaseName
  })
  await beside.app.database.connected
  await beside.track(createPatient(operationId, Date.now()))
  const { text } = await beside.page(`/operations/${operationId}`)
  t.match(text, '3 records')
  for (const shown of [
    'update patient',
    'patient-1',
    'local-client',
    attempt,
    'failure',
    'its-end',
    'lastName',
    'disclosed-19',
    'and 5 more'
  ]) { t.match(text, shown) }
  t.notMatch(text, /other-record|disclosed-20/)
  t.notMatch(JSON.stringify(await beside.json(`/api/operations/${operationId}`)), 'patient-1')

  // Sampled out or gone: what the register has is there all the same
  const other = await startMonitor(t, {
    AUDIT_DB_VIEWER_CONNECTION: connection,
    DATABASE_NAME: db.databaseName
  })
  await other.app.database.connected
  t.match(await other.page(`/operations/${operationId}`), { status: 404, text: /no telemetry.*3 records/s })
  t.match((await other.page(`/operations/${newId()}`)).text, 'The register has no record of this operation.')
})

t.test('works while the audit register does not respond', async (t) => {
  const database = await startEmbedded(t)
  const beside = await startMonitor(t, {
    AUDIT_DB_VIEWER_CONNECTION: `mongodb://127.0.0.1:${database.port}/`
  })
  await beside.app.database.connected
  const operationId = newId()
  await beside.track(createPatient(operationId, Date.now()))
  t.match(
    (await beside.page(`/operations/${operationId}`)).text,
    'The register has no record of this operation.'
  )
  await database.close()
  const { status, text } = await beside.page(`/operations/${operationId}`)
  t.equal(status, 200)
  t.match(text, 'The audit register does not respond.')
  t.notMatch(beside.logs(), operationId)
})
