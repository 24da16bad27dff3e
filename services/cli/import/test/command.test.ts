import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { generate } from './generate.ts'

t.setTimeout(600_000)

const IMPORT = fileURLToPath(import.meta.resolve('../../import.ts'))
const SAMPLE = fileURLToPath(import.meta.resolve('./sample.ndjson'))
const ID = /"(?:id|line)":"((?:[^"\\]|\\.)*)"/

interface Created {
  path: string
  body: string
  key: string
}

/**
 * A gateway that creates once for each Idempotency-Key or If-None-Exist, or answers as `answer` does.
 * Patients in `gone` are not there any more, and were merged into the one that it has for them, if any.
 */
async function startGateway (t: Test, answer?: (created: Created, response: ServerResponse) => boolean) {
  const created = new Map<string, Created & { id: string, lastUpdated: string }>()
  const gone = new Map<string, string | undefined>()
  const server = createServer(async (request, response) => {
    const body = await text(request)
    const { url: path = '', headers } = request
    const condition = headers['if-none-exist'] as string | undefined
    const key = condition ?? String(headers['idempotency-key'])
    const [, , patient = ''] = path.split('/')
    if (headers['ocp-apim-subscription-key'] !== 'secret') return response.writeHead(401).end('{}')
    if (gone.has(patient)) {
      const replacedBy = gone.get(patient)
      return response.writeHead(404).end(JSON.stringify({ code: 'PATIENT_NOT_FOUND', replacedBy }))
    }
    if (request.method === 'GET') {
      const known = [...created.values()].some(({ id }) => path.endsWith(id))
      return response.writeHead(known ? 200 : 404).end('{}')
    }
    if (answer?.({ path, body, key }, response)) return
    const lastUpdated = new Date().toISOString()
    const id = `id-${created.size}`
    const isThere = created.has(path + key)
    if (!isThere) created.set(path + key, { path, body, key, id, lastUpdated })
    response.writeHead(isThere && condition ? 200 : 201).end(JSON.stringify(created.get(path + key)))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close().closeAllConnections())
  return { created, gone, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

function start (t: Test, url: string, dir: string, ...args: string[]) {
  const child = spawn(process.execPath, [IMPORT, '--gateway', url, '--state', join(dir, 'state'), ...args], {
    env: { ...process.env, SUBSCRIPTION_KEY: 'secret', LOCAL_DIR: dir }
  })
  t.teardown(() => child.kill('SIGKILL'))
  return child
}

async function endOf (child: ChildProcess) {
  const [stdout, stderr, [code, signal]] =
    await Promise.all([text(child.stdout!), text(child.stderr!), once(child, 'close')])
  return { stdout, stderr, code, signal }
}

const run = (t: Test, url: string, dir: string, ...args: string[]) => endOf(start(t, url, dir, ...args))

/** The numbers of the table for a type: stored, there already, refused, not done. */
function counts (stdout: string, type: string) {
  const [, ...numbers] = new RegExp(`^ *${type} +(\\S+) +(\\S+) +(\\S+) +(\\S+)`, 'm').exec(stdout) ?? []
  return numbers.map(Number)
}

t.test('the sample is imported', async (t) => {
  const { created, url } = await startGateway(t)
  const { code, stdout, stderr } = await run(t, url, t.testdir(), SAMPLE)
  t.equal(code, 0, stdout + stderr)
  t.strictSame(counts(stdout, 'Patient'), [5, 0, 0, 0])
  const paths = [...created.values()].map(({ path }) => path)
  t.ok(paths.lastIndexOf('/patient') < paths.findIndex((path) => path !== '/patient'), 'patients come first')
  for (const line of readFileSync(SAMPLE, 'utf8').split('\n')) if (line) JSON.parse(line)
})

t.test('one killed in the middle goes on', async (t) => {
  let last: ChildProcess | undefined
  let requests = 0
  const { created, url } = await startGateway(t, (_, response) => {
    if (++requests === 40) last!.kill('SIGKILL')
    // The response of a request that is stored may be lost
    return last !== undefined && requests >= 40 && response.destroy() !== undefined
  })
  const dir = t.testdir({ 'in.ndjson': [...generate(25)].join('\n') })
  last = start(t, url, dir, join(dir, 'in.ndjson'))
  t.equal((await endOf(last)).signal, 'SIGKILL')
  last = undefined
  const before = created.size
  t.ok(before > 20 && before < 75, `${before} were stored before`)
  const { code, stdout, stderr } = await run(t, url, dir, join(dir, 'in.ndjson'))
  t.equal(code, 0, stdout + stderr)
  t.equal(created.size, 25 + 25 * 2, 'each is stored once')
  const sum = ['Patient', 'DiagnosticReport', 'Observation'].map((type) => counts(stdout, type))
  t.strictSame(sum.map(([stored, there]) => stored! + there!), [25, 25, 75])
  t.ok(sum[0]![1]! > 0, 'some were there already')
  t.strictSame(sum.map(([, , refused, waiting]) => refused! + waiting!), [0, 0, 0])
  const bodies = [...created.values()].map(({ body }) => body)
  t.match(bodies.find((body) => body.includes('Electrolytes')), /"number":13\d\.0,.*"number":4\.\d0,/)
})

t.test('one interrupted by Ctrl-C says so, and goes on', async (t) => {
  const started: ChildProcess[] = []
  let requests = 0
  const { created, url } = await startGateway(t, () => {
    if (++requests === 30) started[0]!.kill('SIGINT')
    return false
  })
  const dir = t.testdir({ 'in.ndjson': [...generate(25)].join('\n') })
  started.push(start(t, url, dir, '--concurrency', '2', join(dir, 'in.ndjson')))
  const { code, stdout, stderr } = await endOf(started[0]!)
  t.equal(code, 130)
  t.match(stderr, 'interrupted; run it again to go on')
  t.ok(counts(stdout, 'Observation')[3]! > 0, 'it says what is not done')
  t.equal((await run(t, url, dir, join(dir, 'in.ndjson'))).code, 0)
  t.equal(created.size, 75)
})

t.test('Retry-After is obeyed', async (t) => {
  const times: number[] = []
  const { created, url } = await startGateway(t, (_, response) => {
    times.push(Date.now())
    if (times.length > 3) return false
    response.writeHead([429, 503, 409][times.length - 1]!, { 'retry-after': '1' }).end('{}')
    return true
  })
  const dir = t.testdir({ 'in.ndjson': '{"patient":{"lastName":"A","gender":"other"}}' })
  t.equal((await run(t, url, dir, join(dir, 'in.ndjson'))).code, 0)
  t.equal(created.size, 1)
  t.equal(times.length, 4)
  for (const [i, time] of times.slice(1).entries()) t.ok(time - times[i]! >= 990)
})

t.test('a wrong key, or a gateway that is not there, ends it with what to do', async (t) => {
  const { url } = await startGateway(t)
  const dir = t.testdir({ 'in.ndjson': '{"patient":{"lastName":"A","gender":"other"}}' })
  const { code, stderr } = await run(t, url, dir, '--key', 'wrong', join(dir, 'in.ndjson'))
  t.equal(code, 1)
  t.match(stderr, 'the gateway refuses the subscription key')
})

t.test('what was refused is named without values, and can be imported again', async (t) => {
  const { created, url } = await startGateway(t, ({ path, body }, response) => {
    if (path !== '/patient' || !body.includes('Zwrong')) return false
    const errors = [{ pointer: '#/addresses/0/postCode', message: 'must NOT have more than 16 characters' }]
    response.writeHead(400).end(JSON.stringify({ code: 'INVALID_REQUEST', errors }))
    return true
  })
  const [report, sodium, glucose, patient, potassium] = [...generate(1)]
  const wrong = patient!.replace('"Lovelace"', '"Zwrong"')
  const broken = '{"resourceType": Zbroken'
  const lines = [report, sodium, glucose, wrong, broken, potassium, '{"resourceType":"Encounter"}']
  const dir = t.testdir({ 'in.ndjson': lines.join('\n') })
  const refusals = join(dir, 'refusals.ndjson')
  const first = await run(t, url, dir, '--refusals', refusals, join(dir, 'in.ndjson'))
  t.equal(first.code, 1)
  t.strictSame(counts(first.stdout, 'Patient'), [0, 0, 1, 0])
  t.strictSame(counts(first.stdout, 'Observation'), [0, 0, 3, 0])
  t.match(first.stdout, /1 +Patient +#\/addresses\/\*\/postCode must NOT have more than 16 characters +first at in\.ndjson:4/)
  t.match(first.stdout, /1 +unreadable +is not JSON +first at in\.ndjson:5/)
  t.match(first.stdout, /names a patient that was refused/)
  t.match(first.stdout, /1 +Encounter \(all of it\)/)
  t.notMatch(first.stdout + first.stderr, /Zwrong|Zbroken|7946/)
  t.equal(statSync(refusals).mode & 0o777, 0o600)
  t.equal(created.size, 0)

  const refused = readFileSync(refusals, 'utf8')
  t.equal(refused.trim().split('\n').length, 6)
  t.match(refused, '"number":7.20'.replace('"number":7.20', '"value":130.0'), 'with the digits of the source')
  writeFileSync(refusals, refused.replaceAll('Zwrong', 'Lovelace').replace('Zbroken', '\\"Basic\\"}'))
  const second = await run(t, url, dir, '--refusals', refusals, refusals)
  t.equal(second.code, 0, second.stdout + second.stderr)
  t.strictSame(counts(second.stdout, 'Observation'), [3, 0, 0, 0])
  t.equal(created.size, 3)
  t.throws(() => statSync(refusals), 'nothing is left in the file')
})

t.test('our own format is stored and refused as well', async (t) => {
  const { created, url } = await startGateway(t, ({ body }, response) => {
    if (!body.includes('Zwrong')) return false
    response.writeHead(400).end('{"code":"INVALID_REQUEST","detail":"no"}')
    return true
  })
  const dir = t.testdir({
    'in.ndjson': '{"patient":{"id":"1","lastName":"A","gender":"other"},' +
      '"tests":[{"conclusion":"Zwrong"},{"conclusion":"C"}]}'
  })
  const first = await run(t, url, dir, join(dir, 'in.ndjson'))
  t.equal(first.code, 1)
  t.strictSame([counts(first.stdout, 'patient'), counts(first.stdout, 'test')], [[1, 0, 0, 0], [1, 0, 1, 0]])
  const [, refusals] = /refused, see (.*)$/m.exec(first.stdout) ?? []
  writeFileSync(refusals!, readFileSync(refusals!, 'utf8').replace('Zwrong', 'B'))
  t.equal((await run(t, url, dir, refusals!)).code, 0)
  t.strictSame([...created.values()].map(({ path, body }) => [path, body]), [
    ['/patient', '{"lastName":"A","gender":"other"}'],
    ['/patient/id-0/tests', '{"conclusion":"C"}'],
    ['/patient/id-0/tests', '{"conclusion":"B"}']
  ])
})

t.test('a resource that occurs twice is stored once, whatever its meta', async (t) => {
  const { created, url } = await startGateway(t)
  const patient = { resourceType: 'Patient', id: '1', name: [{ text: 'A' }] }
  const lines = [patient, patient, { ...patient, meta: { versionId: '2' } }]
  const dir = t.testdir({ 'in.ndjson': lines.map((line) => JSON.stringify(line)).join('\n') })
  const { code, stdout } = await run(t, url, dir, join(dir, 'in.ndjson'))
  t.equal(code, 0, stdout)
  t.equal(created.size, 1)
})

t.test('what was imported under an id with another content is refused', async (t) => {
  const { created, url } = await startGateway(t)
  const dir = t.testdir({
    'a.ndjson': '{"patient":{"id":"1","lastName":"A","gender":"other"}}',
    'b.ndjson': '{"patient":{"id":"1","lastName":"B","gender":"other"}}'
  })
  const { code, stdout } = await run(t, url, dir, join(dir, 'a.ndjson'), join(dir, 'b.ndjson'))
  t.equal(code, 1)
  t.match(stdout, /differs from what was imported under its type and id/)
  t.equal((await run(t, url, dir, '--source', 'other hospital', join(dir, 'b.ndjson'))).code, 0)
  t.equal(created.size, 2)
})

t.test('stdin', async (t) => {
  const { created, url } = await startGateway(t)
  const child = start(t, url, t.testdir(), '-')
  child.stdin.end([...generate(2)].join('\r\n'))
  const { code, stdout, stderr } = await endOf(child)
  t.equal(code, 0, stdout + stderr)
  t.equal(created.size, 6)
})

t.test('a dry run validates, and needs no gateway', async (t) => {
  const [, , , patient] = [...generate(1)]
  const wrong = patient!.replace(ID, '"id":"x"').replace('"female"', '"f"')
  const dir = t.testdir({ 'in.ndjson': [...generate(2), wrong].join('\n') })
  const { code, stdout } = await run(t, 'http://127.0.0.1:1', dir, '--dry-run', join(dir, 'in.ndjson'))
  t.equal(code, 1)
  t.strictSame(counts(stdout, 'Patient'), [2, 0, 1, 0])
  t.match(stdout, /#\/gender must be equal to one of the allowed values/)
  t.throws(() => statSync(join(dir, 'state')))
})

t.test('a state of another system is not taken for what is there', async (t) => {
  const { created, url } = await startGateway(t)
  const dir = t.testdir({ 'in.ndjson': '{"patient":{"lastName":"A","gender":"other"}}' })
  const file = join(dir, 'in.ndjson')
  t.equal((await run(t, url, dir, file)).code, 0)
  created.clear()
  const { code, stderr } = await run(t, url, dir, file)
  t.equal(code, 1)
  t.match(stderr, 'use --anew')
  t.equal((await run(t, url, dir, '--anew', file)).code, 0)
  t.equal(created.size, 1)
})

t.test('panels, shared and contained observations, and other patients', async (t) => {
  const { created, url } = await startGateway(t)
  const subject = { reference: 'Patient/1' }
  const observation = (id: string, more: object = {}) =>
    ({ resourceType: 'Observation', id, code: { text: id }, subject, valueString: id, ...more })
  const report = (id: string, ...result: string[]) => ({
    resourceType: 'DiagnosticReport', id, subject, result: result.map((reference) => ({ reference }))
  })
  const lines = [
    { resourceType: 'Patient', id: '1', name: [{ text: 'A' }] },
    { resourceType: 'Patient', id: '2', name: [{ text: 'B' }] },
    report('shared-1', 'Observation/a', 'http://example.com/fhir/Observation/b/_history/1'),
    report('shared-2', 'Observation/a', 'Observation/none'),
    { ...report('contained', '#c'), contained: [observation('c')] },
    report('foreign', 'Observation/foreign'),
    report('panel-in-report', 'Observation/panel-2'),
    ...['a', 'b', 'm1', 'm2', 'n1'].map((id) => observation(id)),
    observation('foreign', { subject: { reference: 'Patient/2' } }),
    observation('panel', {
      valueString: undefined, hasMember: [{ reference: 'Observation/m1' }, { reference: 'Observation/m2' }]
    }),
    observation('panel-2', { valueString: undefined, hasMember: [{ reference: 'Observation/n1' }] }),
    observation('modified', { modifierExtension: [{ url: 'x', valueBoolean: true }] }),
    observation('nobody', { subject: { reference: 'Patient/3' } })
  ]
  const dir = t.testdir({ 'in.ndjson': lines.map((line) => JSON.stringify(line)).join('\n') })
  const { code, stdout } = await run(t, url, dir, join(dir, 'in.ndjson'))
  t.equal(code, 1)
  const tests = [...created.values()].filter(({ path }) => path !== '/patient')
  const idsIn = (body: string) => JSON.parse(body).observations.map(({ id }: { id: string }) => id).join()
  const ids = tests.map(({ body }) => idsIn(body))
  t.strictSame(ids.sort(), ['a', 'a,b', 'c', 'm1,m2', 'n1'])
  t.match(stdout, /1 +DiagnosticReport +#\/observations\/\* must be of the same patient/)
  t.match(stdout, /1 +Observation +has a modifierExtension/)
  t.match(stdout, /1 +Observation +#\/subject must name a patient of the input/)
  t.match(stdout, /1 +DiagnosticReport\.result$/m, 'a result that is not there is reported')
  t.match(stdout, /1 +Observation\.code$/m, 'a panel within a report is reported')
})

t.test('of resources without an id, each is stored, and none again', async (t) => {
  const { created, url } = await startGateway(t)
  const twin = '{"patient":{"lastName":"Twin","gender":"other"},"tests":[{"conclusion":"A"}]}'
  const observation = '{"resourceType":"Observation","subject":{"reference":"Patient/1"},"valueString":"A"}'
  const patient = '{"resourceType":"Patient","id":"1","name":[{"text":"A"}]}'
  const dir = t.testdir({
    'a.ndjson': [twin, patient, observation, twin].join('\n'),
    'b.ndjson': `[${observation},${observation}]`
  })
  const files = [join(dir, 'a.ndjson'), join(dir, 'b.ndjson')]
  const first = await run(t, url, dir, ...files)
  t.equal(first.code, 0, first.stdout + first.stderr)
  const types = ['patient', 'test', 'Observation']
  t.strictSame(types.map((type) => counts(first.stdout, type)), [[2, 0, 0, 0], [2, 0, 0, 0], [3, 0, 0, 0]])
  t.equal(created.size, 8)
  const tests = [...created.values()].filter(({ body }) => body === '{"conclusion":"A"}')
  t.equal(new Set(tests.map(({ path }) => path)).size, 2, 'each test is with its own patient')
  const second = await run(t, url, dir, ...files)
  t.strictSame(types.map((type) => counts(second.stdout, type)), [[0, 2, 0, 0], [0, 2, 0, 0], [0, 3, 0, 0]])
  t.equal((await run(t, url, join(dir, 'another'), '--state', join(dir, 'lost'), ...files)).code, 0)
  t.equal(created.size, 8, 'keys are the same without the state')
})

const person = (id: string, more: object = {}) =>
  JSON.stringify({ resourceType: 'Patient', id, name: [{ text: id }], ...more })
const result = (id: string, patient: string) => JSON.stringify({
  resourceType: 'Observation', id, subject: { reference: `Patient/${patient}` }, valueString: id
})

t.test('results of a patient that was merged or deleted since', async (t) => {
  const { created, gone, url } = await startGateway(t)
  const dir = t.testdir({
    'patients.ndjson': ['a', 'b', 'c', 'd'].map((id) => person(id)).join('\n'),
    'results.ndjson': ['a', 'b', 'c'].map((id) => result(`of-${id}`, id)).join('\n')
  })
  const [patients, results] = [join(dir, 'patients.ndjson'), join(dir, 'results.ndjson')]
  t.equal((await run(t, url, dir, '--concurrency', '1', patients)).code, 0)
  gone.set('id-0', 'id-9').set('id-9', 'id-2').set('id-1', undefined)
  const { code, stdout, stderr } = await run(t, url, dir, patients, results)
  t.equal(code, 1)
  t.match(stderr, '1 of the patients that were imported last were deleted since')
  t.strictSame(counts(stdout, 'Patient'), [0, 3, 1, 0])
  t.strictSame(counts(stdout, 'Observation'), [2, 0, 1, 0])
  t.match(stdout, /1 +Patient +was deleted after it was imported/)
  t.match(stdout, /1 +Observation +#\/subject names a patient that was deleted after it was imported/)
  t.strictSame([...created.values()].slice(4).map(({ path }) => path), Array(2).fill('/patient/id-2/tests'))

  gone.delete('id-1')
  const restored = await run(t, url, dir, patients, results)
  t.strictSame(counts(restored.stdout, 'Observation'), [1, 2, 0, 0], 'a patient may be restored')
  t.equal((await run(t, url, dir, patients)).code, 0)
  t.equal(created.size, 7)
})

t.test('a patient that is merged or deleted during an import', async (t) => {
  const { created, gone, url } = await startGateway(t, ({ body }) => {
    if (!body.includes('last')) return false
    gone.set('id-0', 'id-2').set('id-1', undefined)
    return false
  })
  const dir = t.testdir({
    'in.ndjson': [person('a'), person('b'), person('last'), result('x', 'a'), result('y', 'b')].join('\n')
  })
  const { code, stdout } = await run(t, url, dir, '--concurrency', '1', join(dir, 'in.ndjson'))
  t.equal(code, 1)
  t.strictSame(counts(stdout, 'Observation'), [1, 0, 1, 0])
  t.equal([...created.values()].at(-1)!.path, '/patient/id-2/tests')
})

t.test('one begun anew stores again', async (t) => {
  const { created, gone, url } = await startGateway(t)
  const dir = t.testdir({ 'in.ndjson': [person('a'), result('x', 'a')].join('\n') })
  t.equal((await run(t, url, dir, join(dir, 'in.ndjson'))).code, 0)
  gone.set('id-0', undefined)
  const { code, stdout } = await run(t, url, dir, '--anew', join(dir, 'in.ndjson'))
  t.equal(code, 0, stdout)
  t.strictSame([counts(stdout, 'Patient'), counts(stdout, 'Observation')], [[1, 0, 0, 0], [1, 0, 0, 0]])
  t.equal((await run(t, url, dir, join(dir, 'in.ndjson'))).code, 0)
  t.equal(created.size, 4)
})

t.test('a patient with an identifier is stored once, whatever the state', async (t) => {
  const { created, url } = await startGateway(t, ({ key }, response) => {
    if (!key.includes('several')) return false
    response.writeHead(412).end('{"code":"SEVERAL_PATIENTS","detail":"no"}')
    return true
  })
  const own = '6bb3d38f-ae2e-40cf-a31e-baaea0b8bcc1'
  const identifier = [{ value: 'no system' }, { system: 'urn:mrn', value: 'ž 1&2' }]
  const lines = [
    person(own, { identifier }), person('a', { identifier }), person('b', { identifier }), person('c'),
    '{"patient":{"lastName":"A","gender":"other","identifiers":[{"system":"urn:mrn","value":"7"}]}}',
    '{"patient":{"lastName":"B","gender":"other","identifiers":[{"system":"urn:mrn","value":"several"}]}}'
  ]
  const dir = t.testdir({ 'in.ndjson': lines.join('\n') })
  const first = await run(t, url, dir, join(dir, 'in.ndjson'))
  t.strictSame(counts(first.stdout, 'Patient'), [4, 0, 0, 0], first.stderr)
  t.match(first.stdout, /1 +patient +412 SEVERAL_PATIENTS no/)
  t.equal(created.size, 5, 'of several with an identifier each is stored')
  const conditions = [...created.values()].map(({ key }) => decodeURIComponent(key))
    .filter((key) => key.startsWith('identifier='))
  t.strictSame(conditions.sort(), [
    'identifier=urn:ietf:rfc:3986|urn:uuid:' + own, 'identifier=urn:mrn|7', 'identifier=urn:mrn|ž 1&2'
  ])
  const again = await run(t, url, dir, '--source', 'another', join(dir, 'in.ndjson'))
  t.strictSame(counts(again.stdout, 'Patient'), [2, 2, 0, 0])
  t.strictSame(counts(again.stdout, 'patient'), [0, 1, 1, 0])
})

t.test('refusals are kept until they are imported again', async (t) => {
  const { url } = await startGateway(t, ({ body }, response) => {
    if (!body.includes('Zwrong')) return false
    response.writeHead(400).end('{"code":"INVALID_REQUEST","detail":"no"}')
    return true
  })
  const named = (name: string) => `{"patient":{"lastName":"${name}","gender":"other"}}`
  const dir = t.testdir({
    'a.ndjson': `${named('Zwrong')}\n{broken`, 'b.ndjson': named('B'), 'c.ndjson': named('Zwrong c')
  })
  const importOf = (...names: string[]) => run(t, url, dir, ...names.map((name) => join(dir, name)))
  const first = await importOf('a.ndjson')
  const [, file = ''] = /2 refused, see (.*)$/m.exec(first.stdout) ?? []
  const linesNow = () => readFileSync(file, 'utf8').trim().split('\n')
  const [wrong, broken] = linesNow()
  const second = await importOf('b.ndjson')
  t.equal(second.code, 0)
  t.match(second.stdout, `2 refused by earlier imports, still in ${file}`)
  t.strictSame(linesNow(), [wrong, broken])
  await importOf('c.ndjson')
  t.strictSame(linesNow().slice(1), [wrong, broken])
  t.match(linesNow()[0], 'Zwrong c')
  await importOf('a.ndjson')
  t.equal(linesNow().length, 3, 'once each')
  writeFileSync(join(dir, 'a.ndjson'), named('A'))
  await importOf('a.ndjson')
  t.match(linesNow(), [/Zwrong c/], 'those of an input that is imported again are removed')
  writeFileSync(file, linesNow()[0]!.replace('Zwrong c', 'C'))
  t.equal((await run(t, url, dir, file)).code, 0)
  t.throws(() => statSync(file))
})

t.test('options that make no sense are refused', async (t) => {
  const dir = t.testdir()
  for (const args of [['--concurrency', '0', '-'], ['--nothing'], [join(dir, 'none.ndjson')]]) {
    const { code, stderr } = await run(t, 'http://127.0.0.1:1', dir, ...args)
    t.equal(code, 1)
    t.match(stderr, /^npm run import: [^\n]*\n/)
  }
  const { code, stdout } = await run(t, 'http://127.0.0.1:1', dir, '--help')
  t.equal(code, 0)
  t.match(stdout, 'npm run import -- [OPTION…] FILE…')
})
