import t from 'tap'
import { OF_REGISTER, operations } from '../operations.ts'
import { asClient, CLIENT_KEY, startGateway, startService, urlOf } from './gateway.ts'

const service = await startService(t)
const { url, call, pass } = await startGateway(t, urlOf(service))

const NO_OPERATION = { statusCode: 404, message: 'Resource not found' }

t.test('every operation of the patient API reaches the service, also with a trailing slash', async (t) => {
  const ofPatient = operations.filter(({ api, name }) => api === 'patient' && !OF_REGISTER.includes(name))
  for (const { method, path } of ofPatient) {
    for (const slash of ['', '/']) {
      const target = path.replace(/:\w+/g, '0b0b4bd3-ba83-4b23-a9c9-6e0f2e4b2c11') + slash
      const seen = await pass(target, { method })
      t.match(seen, { method, url: target })
    }
  }
})

t.test('what is no operation is a 404 behind the key', async (t) => {
  const targets = [
    ['GET', '/patient'], [
      'GET', '/patient/'
    ], ['PUT', '/patient'], ['POST', '/patient/1'], ['HEAD', '/patient/1'], ['OPTIONS', '/patient/1'],
    [
      'GET', '/patient/1/tests/2/3'
    ], ['GET', '/patient/1/results'], ['POST', '/echo/resource'], ['GET', '/echo'],
    ['GET', '/patient/%zz']
  ]
  for (const [method, path] of targets) {
    const { statusCode, text, json } = await call(path!, { method, headers: asClient })
    t.equal(statusCode, 404, `${method} ${path}`)
    if (text !== '') t.strictSame(json(), NO_OPERATION)
  }
})

t.test('only POST searches: the path of a search is no patient', async (t) => {
  for (const method of ['GET', 'PUT', 'PATCH', 'DELETE'] as const) {
    for (const target of ['/patient/search', '/patient/search/', '/patient/search?after=x']) {
      const { statusCode, headers, json } = await call(target, { method, headers: asClient })
      t.equal(statusCode, 404, `${method} ${target}`)
      t.match(headers['content-type'], /^application\/json/)
      t.strictSame(json(), NO_OPERATION)
    }
  }
  t.equal((await call('/patient/search')).statusCode, 401)
  t.equal((await pass('/patient/search?after=x', {
    method: 'POST', body: '{}'
  })).url, '/patient/search?after=x')
})

t.test('a path that belongs to no API is a 404 without a key', async (t) => {
  for (const path of [
    '/', '/patients', '/patientx/1', '/health', '/health/ready', '/audits', '/api/auditrecord', '/echoes',
    '/%zz', '//patient', '/Patient/1'
  ]) {
    const { statusCode, json } = await call(path, { method: path === '/audit' ? 'POST' : 'GET' })
    t.equal(statusCode, 404, path)
    t.strictSame(json(), NO_OPERATION)
  }
  t.strictSame((await call('/nothing', {
    method: 'POST', headers: { 'content-type': '%' }, body: 'x'
  })).json(), NO_OPERATION)
})

t.test('a path written in another way does not come past the key', async (t) => {
  for (const path of ['/%70atient/1', '/patient/1;x', '/./patient/1', '/x/../patient/1']) {
    t.not((await call(path)).statusCode, 200, path)
  }
})

t.test('a long or odd id is the service\'s to judge', async (t) => {
  for (const id of ['x'.repeat(2000), '%20', 'a%2Fb', '..', "'", '%00']) {
    t.equal((await pass(`/patient/${id}`)).url, `/patient/${id}`)
  }
})

t.test('the gateway reports its own health without a key', async (t) => {
  t.equal((await call('/status-0123456789abcdef')).statusCode, 200)
})

t.test('echo answers with the query and never with a key', async (t) => {
  const {
    statusCode, json, text
  } = await call(`/echo/resource?param1=sample&subscription-key=${CLIENT_KEY}`, { headers: asClient })
  t.equal(statusCode, 200)
  t.strictSame(json(), { method: 'GET', path: '/echo/resource', query: { param1: 'sample' } })
  t.notMatch(text, CLIENT_KEY)
})

t.test('a target in absolute form is the same as one in origin form', async (t) => {
  const seen = await pass(`${url}/patient/1?a=1`)
  t.equal(seen.url, '/patient/1?a=1')
})
