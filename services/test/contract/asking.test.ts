import { existsSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { Pool, type Dispatcher } from 'undici'
import access from '../../access.json' with { type: 'json' }
import { clientIdOf, type Identity } from '../../cli/system/identity.ts'
import { identityFile } from '../../cli/system/state.ts'
import { OF_REGISTER, operations, type Operation } from '../../emulators/gateway/operations.ts'
import { secret, startApi, testLogs, unknownId, type Answer } from './api.ts'
import type { AuditRecord } from './stores.ts'

// Who may ask the register, and who may not

const api = await startApi()
const { system } = api
const { id, path } = await api.create()
const { id: testId, path: testPath } = await api.createTest(path)
const other = await api.create()
const [load, otherLoad] = [await api.get(path), await api.get(other.path)]
const { id: recordId } = (await api.recordsOf(load))[0]!

const FINDING_MS = 10_000
const asAuditor = { 'ocp-apim-subscription-key': system.auditorKey }
const KEY_REFUSED = {
  statusCode: 401,
  message: 'Access denied due to invalid subscription key. ' +
    'Make sure to provide a valid key for an active subscription.'
}

type Headers = Record<string, string>
type Method = Operation['method']
type Call = [method: Method, path: string, content?: { body: object, headers?: Headers }]

const isOfRegister = ({ api, name }: Operation) =>
  api === 'audit' || api === 'log' || OF_REGISTER.includes(name)
const breakingGlass = await api.get(path, {
  'x-purpose-of-use': 'BTG', 'x-purpose-reason': 'Unconscious on arrival'
})
/** The finding that the last access led to. */
const finding = await findingAbout(id)

/** Good bodies and headers, by operation. */
const contents: Record<string, { body: object, headers?: Headers }> = {
  'review-finding': { body: { state: 'under-review' }, headers: { 'if-match': '*' } },
  'watch-patient': { body: {} }
}
/** A good call of each operation of the register, with the record of `load` or about its patient. */
const questions = operations.filter(isOfRegister).map(callOf)
const patientCalls = operations
  .filter((operation) => operation.api === 'patient' && !isOfRegister(operation))
  .map(callOf)

function callOf ({ name, method, path }: Operation): Call {
  const version = load.headers.etag!.slice(1, -1)
  const parameters: Record<string, string> =
    {
      patientId: id,
      testId,
      version,
      id: recordId,
      actor: 'local-client',
      findingId: finding,
      '*': '0/000.p/1'
    }
  const target = path.replace(/:(\w+)|\*/g, (all, parameter) => parameters[parameter ?? all]!)
  const hour = (from: number) => new Date(Date.now() + from * 3_600_000).toISOString()
  if (['search-records', 'load-evidence'].includes(name)) {
    return [method, `${target}?operationId=${load.trace}`]
  }
  const needsRange = name === 'load-actor-summary' || name === 'load-statistics'
  return [method, needsRange ? `${target}?from=${hour(-1)}&to=${hour(1)}` : target, contents[name]]
}

/** Refused as API Management refuses the key of another product, and nothing is recorded or disclosed. */
async function isRefused (t: Test, [method, path, content]: Call, headers: Headers) {
  const body = method === 'GET' || method === 'DELETE' ? undefined : content?.body ?? {}
  const answer = await api.call(method, path, { headers: { ...content?.headers, ...headers }, body })
  t.equal(answer.status, 401, `${method} ${path}`)
  t.strictSame(answer.body, KEY_REFUSED)
  t.strictSame(await api.recordsOf(answer), [])
}

/** The id of the finding about a patient, which is there within 10 s of the record. */
async function findingAbout (patientId: string): Promise<string> {
  const started = Date.now()
  for (;;) {
    const { body } = await api.get(`/audit/findings?patientId=${patientId}`, asAuditor)
    const took = Date.now() - started
    if (body.length > 0) {
      test('a finding is there within 10 s of its record', async (t) => {
        t.comment(`the finding was there after ${took} ms`)
        t.ok(took < FINDING_MS, `after ${took} ms`)
        const records = await api.recordsOf(breakingGlass)
        t.match(body, [{ rule: 'break-the-glass', records: [records[0]!.id], patientId, state: 'new' }])
      })
      return body[0].id
    }
    if (took > 6 * FINDING_MS) throw new Error('there is no finding')
    await sleep(100)
  }
}

/** The answer once the log has the record, which takes a second or two. */
async function sequenced (ask: () => Promise<Answer>) {
  const until = Date.now() + 60_000
  let answer = await ask()
  for (; answer.status === 404 && Date.now() < until; answer = await ask()) await sleep(100)
  return answer
}

test('an auditor asks every question, each of which is recorded', async (t) => {
  t.ok(questions.length >= 5)
  for (const [method, path, content] of questions) {
    const headers = { ...asAuditor, ...content?.headers }
    const answer = await sequenced(() => api.call(method, path, { headers, body: content?.body }))
    t.equal(answer.status, method === 'DELETE' ? 204 : 200, `${method} ${path}`)
    const records = await api.recordsOf(answer)
    if (path.startsWith('/log/')) t.strictSame(records, [], 'who reads the log is not recorded')
    else t.match(records[0], { actor: 'local-auditor', resource: { type: 'audit-record' } }, path)
    const outcomes = records.flatMap(({ outcome }) => outcome ?? [])
    if (method !== 'GET') t.strictSame(outcomes, ['success'], `${path} is recorded with its outcome`)
  }
  const found = await api.get(`/audit?operationId=${load.trace}`, asAuditor)
  t.match(found.body, [{ id: recordId, actor: 'local-client', resource: { operation: 'load', id } }])
})

test('the keys of a client and a reader open nothing of the register', async (t) => {
  const asClient = { 'ocp-apim-subscription-key': system.subscriptionKey }
  for (const headers of [asClient, api.asReader]) {
    for (const question of questions) await isRefused(t, question, headers)
  }
})

test('the key of an auditor opens no operation of patients', async (t) => {
  const before = await api.dump()
  t.ok(patientCalls.length >= 19)
  for (const call of patientCalls) await isRefused(t, call, asAuditor)
  await isRefused(t, ['GET', '/echo/resource'], asAuditor)
  t.equal(await api.dump(), before)
})

test('the query key stores nothing, and the host key asks nothing', async (t) => {
  const pool = new Pool(system.run.audit.url)
  t.teardown(() => pool.destroy())
  const marked = secret()
  async function call (method: Method, path: string, key: string, content?: object) {
    const { statusCode, body } = await pool.request({
      method, path, headers: { 'x-functions-key': key }, body: content ? JSON.stringify(content) : null
    })
    return { statusCode, body: await body.json() as { code?: string } }
  }
  const { 'audit-host-key': hostKey, 'audit-query-key': queryKey } = system.keys
  const record = { sourceSystemName: marked, resource: { type: 'patient', operation: 'load' } }
  const attempts = { replica: unknownId(), from: new Date().toISOString() }
  const ofMarked = ({ sourceSystemName }: AuditRecord) => sourceSystemName === marked
  const stores = [['/audit', record], ['/api/auditrecord', record], ['/audit/attempts', attempts]] as const
  for (const [path, content] of stores) {
    const { statusCode, body } = await call('POST', path, queryKey, content)
    t.equal(statusCode, 401, path)
    t.equal(body.code, 'HOST_KEY_REFUSED')
    t.ok((await call('POST', path, hostKey, content)).statusCode < 300, `${path} with the host key`)
  }
  t.equal((await api.records({ 'records.sourceSystemName': marked }, ofMarked)).length, 2)
  const wrong: Array<[method: Method, path: string, key: string, content?: object]> =
    questions.map(([method, path, content]) => [method, path, hostKey!, content?.body])
  for (const method of ['POST', 'PATCH', 'PUT', 'DELETE'] as const) {
    for (const path of ['/audit/findings', '/audit/watched-patients', `/audit/${recordId}`, '/audit/none']) {
      wrong.push([method, path, queryKey!, record])
    }
  }
  // Together: for each wrong key the service reads the keys again, at most once a second
  await Promise.all(wrong.map(async (one) => {
    const { statusCode, body } = await call(...one)
    t.equal(statusCode, 401, `${one[0]} ${one[1]}`)
    t.equal(body.code, 'HOST_KEY_REFUSED')
  }))
  t.equal((await call('GET', `/audit/${recordId}`, queryKey)).statusCode, 200)
})

/** The vault as an identity of the system has it: with the token that is issued to its process. */
async function vaultAs (t: Test, identity: Identity) {
  const { localDir, run } = system
  const ca = readFileSync(`${localDir}/certificates/ca.pem`)
  const pool = new Pool(`https://127.0.0.1:${new URL(run.vault.url).port}`, { connect: { ca } })
  t.teardown(() => pool.destroy())
  async function call (method: Method, path: string, headers: Headers, content?: object) {
    const { statusCode, body } = await pool.request({
      method: method as Dispatcher.HttpMethod,
      path,
      headers: { ...headers, 'content-type': 'application/json' },
      body: content ? JSON.stringify(content) : null
    })
    return { statusCode, body: await body.json() as Record<string, any> }
  }
  const query = new URLSearchParams({
    'api-version': '2019-08-01', resource: 'https://vault.localhost', client_id: clientIdOf(identity)
  })
  const header = headerOf(identity)
  const { body } = await call('GET', `/msi/token?${query}`, { 'x-identity-header': header })
  const authorization = `Bearer ${body.access_token}`
  return (method: Method, name: string, content?: object) =>
    call(method, `/secrets/${name}?api-version=7.6`, { authorization }, content)
}

/** The header with which the vault issues tokens: of commands it is in a file, else its process has it. */
function headerOf (identity: Identity) {
  const file = identityFile(system.localDir, identity)
  if (existsSync(file)) return readFileSync(file, 'utf8')
  const { pid } = system.run[identity as 'gateway' | 'witness']
  const environ = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
  return environ.find((line) => line.startsWith('IDENTITY_HEADER='))!.slice('IDENTITY_HEADER='.length)
}

const needsProc = { skip: !existsSync('/proc') && 'the identity of a process is read from /proc' }

test('the gateway and the witness open no secret of the register but the query key', needsProc, async (t) => {
  const names = access.deployer.manage
  t.ok(['audit-log-key', 'audit-host-key', 'audit-query-key'].every((name) => names.includes(name)))
  for (const identity of ['gateway', 'witness'] as const) {
    const vault = await vaultAs(t, identity)
    for (const name of names.filter((name) => name.startsWith('audit-'))) {
      const opens = identity === 'gateway' && name === 'audit-query-key'
      const { statusCode, body } = await vault('GET', name)
      t.equal(statusCode, opens ? 200 : 403, `${identity} and ${name}`)
      if (opens) continue
      t.notOk(body.value)
      t.equal((await vault('PUT', name, { value: secret() })).statusCode, 403)
    }
  }
  const witness = await vaultAs(t, 'witness')
  const opened = []
  for (const name of names) if ((await witness('GET', name)).statusCode !== 403) opened.push(name)
  t.strictSame(opened, ['witness-key'])
})

test('a subject opens the access log and the accounting of one patient, and nothing else', async (t) => {
  const key = secret()
  const vault = await vaultAs(t, 'rotation')
  const value = JSON.stringify({
    ...JSON.parse(system.secrets().get('gateway-subscription-keys')!),
    [`subject-access-${id}`]: { product: 'subject-access', key }
  })
  t.equal((await vault('PUT', 'gateway-subscription-keys', { value })).statusCode, 200)
  // It reads its keys at the start
  await system.restarted('gateway', system.kill('gateway'))
  const asSubject = { 'ocp-apim-subscription-key': key }
  const answer = await api.get(`${path}/access-log`, asSubject)
  t.equal(answer.status, 200)
  t.ok(answer.body.some(({ id }: { id: string }) => id === recordId))
  t.notMatch(answer.text, otherLoad.trace)
  t.match(await api.recordsOf(answer), [
    { actor: `subject-access-${id}`, resource: { operation: 'access-log', patientId: id } }
  ])
  t.equal((await api.get(`${path}/accounting`, asSubject)).status, 200)
  for (const patientId of [other.id, unknownId(), id.slice(-12)]) {
    await isRefused(t, ['GET', `/patient/${patientId}/access-log`], asSubject)
    await isRefused(t, ['GET', `/patient/${patientId}/accounting`], asSubject)
  }
  const own = ([, target]: Call) => [`${path}/access-log`, `${path}/accounting`].includes(target)
  const before = await api.dump()
  for (const call of [...questions, ...patientCalls].filter((call) => !own(call))) {
    await isRefused(t, call, asSubject)
  }
  await isRefused(t, ['GET', '/echo/resource'], asSubject)
  t.equal(await api.dump(), before)
  t.equal((await api.get(testPath)).status, 200)
})

testLogs(api)
