import { setTimeout as sleep } from 'node:timers/promises'
import { test, type Test } from 'tap'
import { newPatient, startApi, type Answer } from './contract/api.ts'
import type { Envelope } from './ingestion.ts'

const api = await startApi()
const { ingestion, system } = api

interface Node {
  role: string
  name: string
  type: string
  success: boolean
  resultCode: string
  children: Node[]
}

/** What was exported of one request, as soon as it is `complete`, as the tree that its parents make. */
async function treeOf (t: Test, { trace }: Answer, complete: (envelopes: Envelope[]) => boolean) {
  let items: Envelope[] = []
  for (const until = Date.now() + 30_000; Date.now() < until && !complete(items); await sleep(100)) {
    items = ingestion.envelopes().filter(({ tags }) => tags['ai.operation.id'] === trace)
  }
  t.ok(complete(items))
  const childrenOf = (parentId: string | undefined): Node[] => items
    .filter(({ tags }) => tags['ai.operation.parentId'] === parentId)
    .sort((a, b) => a.time < b.time ? -1 : 1)
    .map(({ tags, data: { baseType, baseData } }) => ({
      role: tags['ai.cloud.role']!,
      type: baseType === 'RequestData' ? 'request' : baseData.type,
      name: baseData.name,
      success: baseData.success,
      resultCode: baseData.responseCode ?? baseData.resultCode,
      children: childrenOf(baseData.id)
    }))
  // The client's own span
  const roots = new Set(items.map(({ data }) => data.baseData.id))
  const [root] = items.filter(({ tags }) => !roots.has(tags['ai.operation.parentId']))
  return childrenOf(root?.tags['ai.operation.parentId'])
}

/** One line a node, indented below its parent. */
function drawn (nodes: Node[], depth = 0): string[] {
  return nodes.flatMap(({ role, type, name, success, resultCode, children }) => [
    `${'  '.repeat(depth)}${role}: ${type} ${name} ${resultCode}${success ? '' : ' failed'}`,
    ...drawn(children, depth + 1)
  ])
}

test('one request is one operation through gateway, patient, audit and both databases', async (t) => {
  // The first one has the gateway read its key from the vault
  const first = drawn(await treeOf(t, await api.get('/patient/first'), (items) => items.length >= 7))
  t.ok(first.includes('  gateway: Http GET /secrets/patient-host-key 0'))
  const answer = await api.post('/patient', newPatient())
  t.equal(answer.status, 201)
  const tree = await treeOf(t, answer, (items) => items.length >= 7)
  t.strictSame(drawn(tree), [
    'gateway: request POST /patient 201',
    '  gateway: Http POST /patient 201',
    '    patient: request POST /patient 201',
    '      patient: Http POST /audit 201',
    '        audit: request POST /audit 201',
    '          audit: mongodb insert blocks 0',
    '      patient: mongodb insert patients 0'
  ])
  const records = await api.recordsOf(answer)
  t.equal(records.length, 1)
  t.equal(records[0]!.operationId, answer.trace)
})

test('a failure is marked where it happened, up to the client, with its traceId', async (t) => {
  const pid = system.kill('audit', 'SIGSTOP')
  t.teardown(() => process.kill(pid, 'SIGCONT'))
  const answer = await api.post('/patient', newPatient())
  process.kill(pid, 'SIGCONT')
  t.equal(answer.status, 503)
  t.equal(answer.body.traceId, answer.trace)
  const tree = await treeOf(t, answer, (items) => {
    return items.filter(({ tags }) => tags['ai.cloud.role'] !== 'audit').length >= 4
  })
  t.strictSame(drawn(tree).filter((line) => !line.includes(' audit: ')), [
    'gateway: request POST /patient 503 failed',
    '  gateway: Http POST /patient 503 failed',
    '    patient: request POST /patient 503 failed',
    '      patient: Http POST /audit 0 failed'
  ])
})

test('shared inserts show in each operation that they store a record of', async (t) => {
  const unknown = `/patient/${'0'.repeat(8)}-0000-4000-8000-${'0'.repeat(12)}`
  const answers = await Promise.all(Array.from({ length: 12 }, () => api.get(unknown)))
  for (const answer of answers) {
    const tree = await treeOf(t, answer, (items) => items.length >= 7)
    const inserts = drawn(tree).filter((line) => line.endsWith('audit: mongodb insert blocks 0'))
    t.equal(inserts.length, 1)
  }
})

test('every line of a log that is about a request names its trace and its span', async (t) => {
  const answer = await api.get('/patient/unknown')
  await treeOf(t, answer, (items) => items.length >= 6)
  const lines = await system.linesOf(answer.trace, 'gateway', 'patient', 'audit')
  for (const line of lines) t.match(line, { trace_id: answer.trace, span_id: /^[0-9a-f]{16}$/ })
})

test('a repeated header cannot choose what is exported', async (t) => {
  const secret = 'Lovelace'
  await api.get(`/patient/${secret}?lastName=${secret}`, {
    'user-agent': secret,
    tracestate: `a=${secret}`,
    'x-forwarded-for': secret,
    baggage: `name=${secret}`,
    host: secret
  })
  await api.call('GET', `/${secret}/${secret}`)
  const answer = await api.get('/patient/after')
  await treeOf(t, answer, (items) => items.length >= 6)
  t.notOk(ingestion.text().includes(secret))
})
