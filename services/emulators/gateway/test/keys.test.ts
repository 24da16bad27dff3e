import t from 'tap'
import { CLIENT_KEY, READER_KEY, asClient, asReader, startGateway, startService, urlOf } from './gateway.ts'

const service = await startService(t)
const { url, call, pass } = await startGateway(t, urlOf(service))

const MISSING = {
  statusCode: 401,
  message: 'Access denied due to missing subscription key. ' +
    'Make sure to include subscription key when making requests to an API.'
}
const INVALID = {
  statusCode: 401,
  message: 'Access denied due to invalid subscription key. ' +
    'Make sure to provide a valid key for an active subscription.'
}
const CHALLENGE = `AzureApiManagementKey realm="${url}",name="Ocp-Apim-Subscription-Key",type="header"`

t.test('a call without a subscription key is a 401 that says so', async (t) => {
  for (const path of ['/patient/1', '/patient/', '/echo/resource', '/patient/1/nothing', '/patient/%zz']) {
    const { statusCode, headers, json } = await call(path)
    t.equal(statusCode, 401, path)
    t.equal(headers['www-authenticate'], CHALLENGE)
    t.match(headers['content-type'], 'application/json')
    t.strictSame(json(), MISSING)
  }
})

t.test('a wrong key is a 401 that says so', async (t) => {
  for (const headers of [
    { 'ocp-apim-subscription-key': 'wrong' }, { 'ocp-apim-subscription-key': `${CLIENT_KEY} ` + CLIENT_KEY }
  ]) {
    const answer = await call('/patient/1', { headers })
    t.equal(answer.statusCode, 401)
    t.equal(answer.headers['www-authenticate'], CHALLENGE)
    t.strictSame(answer.json(), INVALID)
  }
  t.strictSame((await call('/patient/1?subscription-key=wrong')).json(), INVALID)
})

t.test('a wrong key in the header is not mended by a right one in the query', async (t) => {
  const { json } = await call(`/patient/1?subscription-key=${CLIENT_KEY}`, {
    headers: { 'ocp-apim-subscription-key': 'wrong' }
  })
  t.strictSame(json(), INVALID)
})

t.test('the key of a product that does not hold the operation is an invalid key', async (t) => {
  const writes = [
    ['POST', '/patient'], ['PUT', '/patient/1'], ['PATCH', '/patient/1'], ['DELETE', '/patient/1'],
    [
      'POST', '/patient/1/tests'
    ], ['PUT', '/patient/1/tests/2'], ['PATCH', '/patient/1/tests/2'], ['DELETE', '/patient/1/tests/2']
  ]
  for (const [method, path] of writes) {
    const { statusCode, headers, json } = await call(path!, { method, headers: asReader })
    t.equal(statusCode, 401, `${method} ${path}`)
    t.equal(headers['www-authenticate'], CHALLENGE)
    t.strictSame(json(), INVALID)
  }
})

t.test('the key of a reader opens every read', async (t) => {
  const reads = [['GET', '/patient/1'], [
    'POST', '/patient/search'
  ], ['GET', '/patient/1/tests'], ['GET', '/patient/1/tests/2'], ['GET', '/echo/resource']]
  for (const [method, path] of reads) {
    t.equal((await call(path!, { method, headers: asReader })).statusCode, 200, `${method} ${path}`)
  }
})

t.test('the key comes in the header or in the query', async (t) => {
  t.equal((await call('/patient/1', { headers: asClient })).statusCode, 200)
  t.equal((await call(`/patient/1?subscription-key=${CLIENT_KEY}`)).statusCode, 200)
  t.equal((await call(`/patient/1?a=1&subscription-key=${CLIENT_KEY}&b=2`)).statusCode, 200)
  t.equal((await call(`/patient/1?subscription-key=${CLIENT_KEY}`, {
    headers: { 'ocp-apim-subscription-key': '' }
  })).statusCode, 200)
})

t.test('the key reaches the service neither way', async (t) => {
  const names = ['subscription-key', 'Subscription-Key', 'subscription%2Dkey']
  const seen = await pass(`/patient/1?${names.map((name) => `${name}=${READER_KEY}`).join('&')}`)
  t.equal(seen.url, '/patient/1')
  t.notMatch(JSON.stringify(seen), CLIENT_KEY)
  t.notMatch(JSON.stringify(seen), READER_KEY)
})

t.test('the other parameters go on as they were written', async (t) => {
  const [before, after] = ['?limit=5&cursor=a%2Bb+c%3D=', '&&sort=-lastName&odd&my-subscription-key=1&=&%zz']
  const seen = await pass(`/patient/search${before}&subscription-key=x${after}`, { method: 'POST' })
  t.equal(seen.url, `/patient/search${before}${after}`)
})

t.test('the realm is never more than a host', async (t) => {
  const { headers } = await call('/patient/1', { headers: { host: 'a",x="b' } })
  t.equal(headers['www-authenticate'], CHALLENGE)
})
