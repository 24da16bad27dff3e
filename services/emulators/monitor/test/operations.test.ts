import t from 'tap'
import { readEnvelope, type Item } from '../envelope.ts'
import { Operations, summaryOf } from '../operations.ts'
import { treeOf, walk } from '../tree.ts'
import { createPatient, dependency, failedCreate, message, newId, request } from './envelopes.ts'
import type { ItemOptions } from './envelopes.ts'

const read = (envelopes: object[]) => envelopes.map((envelope) => readEnvelope(envelope)!)
const outline = (items: Item[]) =>
  [...walk(treeOf(items))].map(({ depth, item: { role, name } }) => `${' '.repeat(depth)}${role} ${name}`)
const idsOf = (operations: Operations) => operations.summaries().map(({ id }) => id)
const one = (options: ItemOptions, name = 'GET /') => read([request(name, options)])[0]!

t.test('drops the oldest operations beyond the number', async (t) => {
  const operations = new Operations({ operations: 3, bytes: 2 ** 20 })
  const ids = Array.from({ length: 10 }, () => newId())
  for (const operationId of ids) operations.add(one({ operationId }))
  t.same(idsOf(operations).sort(), ids.slice(-3).sort())
  t.equal(operations.get(ids[0]!), undefined)
})

t.test('drops the oldest operations beyond the bytes', async (t) => {
  const operations = new Operations({ operations: 1_000, bytes: 100_000 })
  const ids = Array.from({ length: 100 }, () => newId())
  for (const operationId of ids) {
    operations.add(one({ operationId, properties: { text: 'x'.repeat(10_000) } }))
    const bytes = idsOf(operations).map((id) => operations.get(id)!.bytes)
    t.ok(bytes.reduce((sum, one) => sum + one, 0) <= 100_000)
  }
  t.equal(operations.summaries().length, 4)
  t.ok(operations.get(ids.at(-1)!))
})

t.test('keeps a thousand items of one operation, and counts the others', async (t) => {
  const operations = new Operations({ operations: 3, bytes: 2 ** 24 })
  const operationId = newId()
  for (let i = 0; i < 1_010; i++) operations.add(one({ operationId }))
  const { items, notKept } = operations.get(operationId)!
  t.equal(items.length, 1_000)
  t.equal(notKept, 10)
})

t.test('lists failed operations first, and newest first among each', async (t) => {
  const operations = new Operations({ operations: 10, bytes: 2 ** 20 })
  const add = (name: string, time: number, success: boolean) => operations.add(one({ time, success }, name))
  add('second', 1_000, true)
  add('failed before', 500, false)
  add('first', 2_000, true)
  add('failed', 900, false)
  t.same(
    operations.summaries().map(({ name }) => name),
    ['failed', 'failed before', 'first', 'second']
  )
})

t.test('summarises an operation by its first request, its services and its duration', async (t) => {
  const operations = new Operations({ operations: 10, bytes: 2 ** 20 })
  const [created, failed] = [newId(), newId()]
  // As it comes: whoever answers first tells first
  for (const item of read([...createPatient(created, 5_000), ...failedCreate(failed, 6_000)]).reverse()) {
    operations.add(item)
  }
  t.match(summaryOf(operations.get(created)!), {
    name: 'POST /patient',
    role: 'gateway',
    resultCode: '201',
    started: 5_000,
    durationMs: 11.9,
    failed: false,
    background: false,
    roles: ['gateway', 'patient', 'audit'],
    items: 8
  })
  t.match(summaryOf(operations.get(failed)!), {
    resultCode: '503',
    durationMs: 64.2,
    failed: true,
    roles: ['gateway', 'patient']
  })
  t.same(operations.beginningWith(created.slice(0, 8)).map(({ id }) => id), [created])
})

t.test('nests items below their parents', async (t) => {
  t.same(outline(read(createPatient(newId(), 5_000)).reverse()), [
    'gateway POST /patient',
    ' gateway POST /patient',
    '  patient POST /patient',
    '   patient POST /audit',
    '    audit POST /audit',
    '     audit insert blocks',
    '     audit batch stored',
    '   patient insert patients'
  ])
})

t.test('marks a failure where it happened', async (t) => {
  const nodes = [...walk(treeOf(read(failedCreate(newId(), 5_000))))]
  t.same(
    nodes.filter(({ item }) => item.failed).map(({ item: { name }, origin }) => `${name} ${origin}`),
    [
      'POST /patient false',
      'POST /patient false',
      'POST /patient false',
      'POST /audit true',
      'POST /audit true',
      'RegisterUnavailable true'
    ]
  )
})

t.test('shows each item once, whatever its parent id', async (t) => {
  const operationId = newId()
  const options = (id: string, parentId: string, time: number) => ({ operationId, id, parentId, time })
  const items = read([
    request('itself', options('a', 'a', 1)),
    request('one of two', options('b', 'c', 2)),
    request('two of two', options('c', 'b', 3)),
    message('below two', { operationId, parentId: 'c', time: 4 }),
    dependency('of nobody', 'Http', 'audit', options('d', 'elsewhere', 5))
  ])
  t.same(outline(items), [
    'patient itself',
    'patient one of two',
    ' patient two of two',
    '  patient below two',
    'patient of nobody'
  ])
  t.same(
    treeOf(items).map(({ orphan }) => orphan),
    [true, true, true]
  )
})

t.test('nests as many items as an operation may have', async (t) => {
  const items = read(
    Array.from({ length: 1_000 }, (_, i) =>
      request(`GET /${i}`, { id: `id-${i}`, parentId: `id-${i - 1}`, time: i })
    )
  )
  t.equal([...walk(treeOf(items))].at(-1)!.depth, 999)
})
