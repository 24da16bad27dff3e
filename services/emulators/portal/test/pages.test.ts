import { connect } from 'node:net'
import t from 'tap'
import { AUDITOR_KEY, CLIENT_KEY, READER_KEY, SUBJECT_KEY, startGateway, startService, urlOf } from
  '../../gateway/test/gateway.ts'
import { operations } from '../documents.ts'
import { ADVICE, explainedErrors } from '../errors.ts'
import { mayHaveKeys } from '../keys.ts'

const service = await startService(t)
const serviceUrl = urlOf(service)
const settings = {
  PORTAL: 'with-keys',
  PORTAL_CHECKS: `witness=${serviceUrl}/health/ready closed=http://127.0.0.1:1/health/ready`,
  MONITOR_URL: 'http://127.0.0.1:8081/'
}
const { call, url } = await startGateway(t, serviceUrl, settings)
const pages = ['/', '/portal', '/portal/operations', '/portal/quick-starts', '/portal/errors']

t.test('every page is served under strict headers', async (t) => {
  const all = [...pages, ...operations.map(({ operationId }) => `/portal/operations/${operationId}`)]
  for (const path of all) {
    const { statusCode, headers, text } = await call(path)
    t.equal(statusCode, 200, path)
    t.match(headers['content-security-policy'], /^default-src 'none';style-src 'self';script-src 'self';/)
    t.match(headers['content-security-policy'], /frame-ancestors 'none'/)
    t.notMatch(headers['content-security-policy'], 'unsafe')
    t.equal(headers['cache-control'], 'no-store')
    t.notMatch(text, /\bstyle=|<script>|="undefined"|>undefined|\[object/, path)
  }
})

t.test('every operation of both documents has a page and is on the list', async (t) => {
  const { text } = await call('/portal/operations')
  t.ok(operations.length >= 28)
  for (const { operationId, summary } of operations) {
    t.match(text, `<a href="/portal/operations/${operationId}">${summary}</a>`)
  }
})

t.test('the keys of a client and an auditor are filled in, and no others', async (t) => {
  const client = await call('/portal/operations/create-patient')
  t.match(client.text, `value="${CLIENT_KEY}"`)
  const auditor = await call('/portal/operations/search-records')
  t.match(auditor.text, `value="${AUDITOR_KEY}"`)
  t.match((await call('/')).text, CLIENT_KEY)
  t.match((await call('/portal/quick-starts')).text, `export KEY=&#39;${CLIENT_KEY}&#39;`)
  for (const path of pages) {
    const { text } = await call(path)
    t.notOk(text.includes(READER_KEY) || text.includes(SUBJECT_KEY), path)
  }
})

t.test('keys are not sent to scripts of other pages, nor through a proxy', async (t) => {
  const paths = ['/', '/portal/quick-starts', '/portal/operations/create-patient']
  const notFor = [
    { 'sec-fetch-dest': 'empty' }, { 'sec-fetch-dest': 'iframe' }, { 'sec-fetch-dest': 'script' },
    { 'x-forwarded-for': '192.0.2.1' }, { forwarded: 'for=192.0.2.1' }
  ]
  for (const path of paths) {
    for (const headers of notFor) t.notMatch((await call(path, { headers })).text, CLIENT_KEY)
    t.match((await call(path, { headers: { 'sec-fetch-dest': 'document' } })).text, CLIENT_KEY)
  }
})

t.test('keys are sent on this machine only', async (t) => {
  const request = (remoteAddress: string | undefined) => ({ socket: { remoteAddress }, headers: {} })
  const may = (address: string | undefined) => mayHaveKeys(request(address) as never)
  for (const address of ['127.0.0.1', '127.1.2.3', '::1', '::ffff:127.0.0.1']) t.ok(may(address), address)
  for (const address of ['192.0.2.1', '10.0.0.1', '::ffff:192.0.2.1', '2001:db8::1', '', undefined]) {
    t.notOk(may(address), String(address))
  }
})

t.test('without keys, the pages ask for one', async (t) => {
  const on = await startGateway(t, serviceUrl, { ...settings, PORTAL: 'on' })
  for (const path of [...pages, '/portal/operations/create-patient', '/portal/operations/search-records']) {
    const { statusCode, text } = await on.call(path)
    t.equal(statusCode, 200)
    t.notOk(text.includes(CLIENT_KEY) || text.includes(AUDITOR_KEY), path)
  }
  t.match((await on.call('/')).text, 'Ask the operator')
})

t.test('another host name is refused, which DNS may lead to this machine', async (t) => {
  for (const path of pages) {
    const { statusCode, text } = await call(path, { headers: { host: 'attacker.example' } })
    t.equal(statusCode, 421, path)
    t.notMatch(text, CLIENT_KEY)
  }
  t.equal((await call('/', { headers: { host: 'localhost:8080' } })).statusCode, 200)
})

t.test('without the setting, there is no portal', async (t) => {
  const off = await startGateway(t, serviceUrl)
  for (const path of [...pages, '/portal/openapi/patient.json', '/portal/portal.js']) {
    const { statusCode, json } = await off.call(path)
    t.equal(statusCode, 404, path)
    t.same(json(), { statusCode: 404, message: 'Resource not found' })
  }
})

t.test('the APIs are as without it', async (t) => {
  t.equal((await call('/patient/x')).statusCode, 401)
  t.equal((await call('/unknown')).statusCode, 404)
  t.equal((await call('/', { method: 'POST' })).statusCode, 404)
  const unknown = await call('/portal/unknown')
  t.equal(unknown.statusCode, 404)
  t.match(unknown.headers['content-type'], 'text/html')
})

t.test('it shows which services are ready, and which are not', async (t) => {
  const { text } = await call('/')
  const shown = text.matchAll(/<li><span>(.*?)<\/span> <span class="badge .*?">(.*?)</g)
  const states = Object.fromEntries([...shown].map(([, name, state]) => [name, state]))
  t.same(states, { patient: 'ready', audit: 'ready', witness: 'ready', closed: 'not ready' })
})

t.test('it has links to the pages that run', async (t) => {
  const both = await startGateway(t, serviceUrl, { ...settings, AUDITOR_URL: serviceUrl })
  const { text } = await both.call('/')
  t.match(text, '<a href="/auditor">')
  t.match(text, /auditor<\/span> <span class="badge good">ready/)
  t.match(text, '<a href="http://127.0.0.1:8081/">Monitor</a>')
  t.notMatch((await call('/')).text, 'href="/auditor"')
})

t.test('a service that accepts connections and never answers does not block the page', async (t) => {
  const { createServer } = await import('node:net')
  const silent = createServer(() => {})
  await new Promise<void>((resolve) => { silent.listen(0, '127.0.0.1', resolve) })
  t.teardown(() => silent.close())
  const { port } = silent.address() as { port: number }
  const checks = `silent=http://127.0.0.1:${port}/`
  const gateway = await startGateway(t, serviceUrl, { ...settings, PORTAL_CHECKS: checks })
  const { statusCode, text } = await gateway.call('/')
  t.equal(statusCode, 200)
  t.match(text, /silent<\/span> <span class="badge bad">not ready/)
})

t.test('the OpenAPI documents have this gateway as their server', async (t) => {
  for (const name of ['patient', 'audit']) {
    const document = (await call(`/portal/openapi/${name}.json`)).json()
    t.same(document.servers, [{ url }])
    t.match(document.openapi, /^3\./)
    const types = (await call(`/portal/openapi/${name}-types.json`)).json()
    t.same(Object.keys(types.paths), Object.keys(document.paths))
    t.notMatch(JSON.stringify(types), /"(any|one)Of":\[\{"required"/)
  }
})

t.test('every code of the documents is explained, and none that they do not have', async (t) => {
  t.same(explainedErrors.map(({ code }) => code), Object.keys(ADVICE).toSorted())
  const { text } = await call('/portal/errors')
  t.ok(explainedErrors.length >= 28)
  for (const { code } of explainedErrors) t.match(text, `<div id="${code}">`)
})

t.test('the access log has routes, and no key', async (t) => {
  const own = await startGateway(t, serviceUrl, settings)
  await own.call('/portal/operations/create-patient')
  const [line] = await own.accessLog(1)
  t.match(line, { route: '/portal/operations/create-patient', statusCode: 200 })
  t.notMatch(JSON.stringify(line), CLIENT_KEY)
})

t.test('settings of the portal are checked', async (t) => {
  for (const wrong of [{ PORTAL: 'yes' }, { PORTAL_CHECKS: 'witness' }, { MONITOR_URL: 'here' }]) {
    await t.rejects(startGateway(t, serviceUrl, wrong))
  }
  const missing = { ...settings, QUICK_START_DIR: '/nowhere' }
  await t.rejects(startGateway(t, serviceUrl, missing), { code: 'ENOENT' })
})

t.test('a request over HTTP/1.0 without a host name is refused', async (t) => {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.end('GET / HTTP/1.0\r\n\r\n')
  t.match((await socket.toArray()).join(''), /^HTTP\/1\.1 421 /)
})
