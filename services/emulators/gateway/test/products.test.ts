import t, { type Test } from 'tap'
import {
  asAuditor, asClient, asReader, asSubject, startGateway, startService, urlOf, HOST_KEY, QUERY_KEY, SUBJECT
} from './gateway.ts'
import { changed } from './policies.ts'

const OTHER = '11111111-4a34-4f0b-9d3f-9f6c5a3b1c11'
const range = 'from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z'
const auditPaths = [
  `/audit?${range}`, `/audit/${OTHER}`, `/audit/${OTHER}/proof`, `/audit/actors/ward-7?${range}`,
  '/log/checkpoint', '/log/keys', '/log/tile/0/000', '/log/tile/entries/x001/234.p/7'
]
const log = (patientId: string) => `/patient/${patientId}/access-log`

const [patient, audit] = [await startService(t), await startService(t)]
const gateway = await startGateway(t, urlOf(patient), { AUDIT_URL: urlOf(audit) })
const { call } = gateway

const REFUSED = {
  statusCode: 401,
  message: 'Access denied due to invalid subscription key. ' +
    'Make sure to provide a valid key for an active subscription.'
}

/** @throws unless a call is refused as API Management refuses the key of another product */
async function isRefused (t: Test, path: string, headers: object, method = 'GET') {
  const answer = await call(path, { method: method as 'GET', headers: headers as Record<string, string> })
  t.equal(answer.statusCode, 401, `${method} ${path}`)
  t.same(answer.json(), REFUSED)
  t.match(answer.headers['www-authenticate'], /^AzureApiManagementKey /)
}

t.test('an auditor asks the audit service, with its query key', async (t) => {
  const asked = { ...asAuditor, 'x-functions-key': 'forged' }
  for (const path of [...auditPaths, log(SUBJECT)]) {
    const { url, headers } = (await call(path, { headers: asked })).json()
    t.equal(url, path)
    t.match(headers, { 'x-functions-key': QUERY_KEY, 'x-audit-actor': 'test-auditor', host: hostOf(audit) })
  }
})

t.test('patients are still asked with the key of the patient service', async (t) => {
  const { headers } = (await call(`/patient/${SUBJECT}`, { headers: asClient })).json()
  t.match(headers, { 'x-functions-key': HOST_KEY, host: hostOf(patient) })
})

t.test('the keys of a client and a reader open nothing of the register', async (t) => {
  for (const key of [asClient, asReader]) {
    for (const path of [...auditPaths, log(SUBJECT)]) await isRefused(t, path, key)
  }
})

t.test('the key of an auditor opens no patient and no echo, and only GET', async (t) => {
  const calls = [
    ['GET', `/patient/${SUBJECT}`], ['POST', '/patient'], ['POST', '/patient/search'],
    ['DELETE', `/patient/${SUBJECT}`], ['GET', `/patient/${SUBJECT}/tests`], ['GET', '/echo/resource']
  ]
  for (const [method, path] of calls) await isRefused(t, path!, asAuditor, method)
  for (const path of ['/audit', `/audit/${OTHER}`, log(SUBJECT)]) {
    const { statusCode } = await call(path, { method: 'POST', headers: asAuditor, body: '{}' })
    t.equal(statusCode, 404, 'no operation')
  }
})

t.test('a subject opens the access log of one patient', async (t) => {
  const { headers } = (await call(log(SUBJECT), { headers: asSubject })).json()
  t.match(headers, { 'x-functions-key': QUERY_KEY, 'x-audit-actor': `subject-access-${SUBJECT}` })
  const part = SUBJECT.slice(-12)
  for (const patientId of [OTHER, part, `x${SUBJECT}`, '']) {
    if (patientId) await isRefused(t, log(patientId), asSubject)
  }
  for (const path of [...auditPaths, `/patient/${SUBJECT}`, `/patient/${SUBJECT}/tests`]) {
    await isRefused(t, path, asSubject)
  }
  await isRefused(t, '/patient/search', asSubject, 'POST')
})

t.test('without a condition of a product, its keys open what they must not', async (t) => {
  const changes = [
    ['Id == \\"load-access-log\\"', 'Id == \\"-\\"', asClient, log(SUBJECT)],
    ['context.Api.Id != \\"patient\\"', 'context.Api.Id != \\"-\\"', asAuditor, `/patient/${SUBJECT}`],
    ['|| context.Subscription.Id !=', '|| \\"-\\" ==', asSubject, log(OTHER)]
  ] as const
  for (const [from, to, headers, path] of changes) {
    const dir = changed(t, 'products', from, to, undefined, 'json')
    const isClient = headers === asClient
    const unquoted = (text: string) => text.replaceAll('\\', '')
    const POLICIES_DIR = isClient ? changed(t, 'product', unquoted(from), unquoted(to), dir) : dir
    const other = await startGateway(t, urlOf(patient), { AUDIT_URL: urlOf(audit), POLICIES_DIR })
    t.equal((await other.call(path, { headers })).statusCode, 200, path)
  }
})

function hostOf (service: typeof audit) {
  return new URL(urlOf(service)).host
}
