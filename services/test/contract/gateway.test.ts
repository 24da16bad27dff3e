import { test } from 'tap'
import { newPatient, newTest, startApi, testLogs, unknownId, type Answer } from './api.ts'

const api = await startApi()
const { path } = await api.create()
const { path: testPath } = await api.createTest(path)
const MISSING = 'Access denied due to missing subscription key. ' +
  'Make sure to include subscription key when making requests to an API.'
const INVALID = 'Access denied due to invalid subscription key. ' +
  'Make sure to provide a valid key for an active subscription.'

type Headers = Record<string, string | undefined>

const operations: Array<(headers: Headers) => Promise<Answer>> = [
  (headers) => api.get('/echo/resource?param1=sample', headers),
  (headers) => api.get(path, headers),
  (headers) => api.search({}, '', headers),
  (headers) => api.get(`${path}/tests`, headers),
  (headers) => api.get(testPath, headers),
  (headers) => api.post('/patient', newPatient(), headers),
  (headers) => api.put(path, newPatient(), headers),
  (headers) => api.patch(path, {}, headers),
  (headers) => api.post(`${path}/tests`, newTest(), headers),
  (headers) => api.put(testPath, newTest(), headers),
  (headers) => api.patch(testPath, {}, headers),
  (headers) => api.delete(testPath, headers),
  (headers) => api.delete(path, headers)
]

test('every operation asks for a key, and nothing is read or written without', async (t) => {
  const before = await api.dump()
  const records = (await api.records()).length
  const unknown = (headers: Headers) => api.get(`/patient/${unknownId()}/nothing`, headers)
  const realm = `AzureApiManagementKey realm="${api.system.baseUrl}"`
  const refusals = [[undefined, MISSING], ['', MISSING], ['wrong', INVALID]] as const
  // Together: for each wrong key the gateway reads the keys again, at most once a second
  await Promise.all(refusals.flatMap(([key, message]) => [...operations, unknown].map(async (operation) => {
    const { status, headers, body } = await operation({ 'ocp-apim-subscription-key': key })
    t.equal(status, 401)
    const challenge = `${realm},name="Ocp-Apim-Subscription-Key",type="header"`
    t.equal(headers['www-authenticate'], challenge)
    t.strictSame(body, { statusCode: 401, message })
  })))
  t.equal(await api.dump(), before)
  t.equal((await api.records()).length, records)
})

test('a product opens its operations only', async (t) => {
  for (const [i, operation] of operations.entries()) {
    const { status, body } = await operation(api.asReader)
    t.equal(status, i < 5 ? 200 : 401)
    if (status === 401) t.strictSame(body, { statusCode: 401, message: INVALID })
  }
})

test('the key may come in the query, and the service never sees it', async (t) => {
  const withoutHeader = { 'ocp-apim-subscription-key': undefined }
  const { status } = await api.get(`${path}?subscription-key=${api.system.subscriptionKey}`, withoutHeader)
  t.equal(status, 200)
  const query = `?limit=1&subscription-key=${api.system.subscriptionKey}`
  const search = await api.search({}, query, withoutHeader)
  t.equal(search.status, 200, 'which would refuse an unknown parameter')
})

test('no such operation is a 404', async (t) => {
  const missing = [
    ['POST', '/'], ['GET', '/patients'], ['GET', '/health'], ['GET', '/health/ready'], ['POST', '/audit'],
    ['POST', '/api/auditrecord'], ['GET', '/patient'], ['DELETE', '/patient'], ['PUT', '/patient/'],
    ['POST', path], ['DELETE', `${path}/tests`], ['POST', testPath], ['GET', `${testPath}/x`],
    ['POST', '/echo/resource']
  ] as const
  for (const [method, at] of missing) {
    const { status, body } = await api.call(method, at)
    t.equal(status, 404, `${method} ${at}`)
    t.strictSame(body, { statusCode: 404, message: 'Resource not found' })
  }
  // The portal of a local gateway
  t.match((await api.get('/')).headers, { 'content-type': /^text\/html/ })
  t.equal((await api.get('/status-0123456789abcdef', { 'ocp-apim-subscription-key': undefined })).status, 200)
})

test('the service\'s host key is not the client\'s to give', async (t) => {
  t.equal((await api.get(path, { 'x-functions-key': 'wrong' })).status, 200)
})

testLogs(api)
