import { randomBytes } from 'node:crypto'
import { test, type Test } from 'tap'
import {
  beginOperation,
  recordDependency,
  isSampled,
  now,
  runInOperations,
  currentOperations,
  setExporter,
  type TelemetryItem
} from '../telemetry/operation.ts'

const newTrace = () => randomBytes(16).toString('hex')

/** The items that are exported from now on. */
function collectItems (t: Test, sampling = 1) {
  const items: TelemetryItem[] = []
  setExporter({ sampling, export: (item) => items.push(item) })
  t.teardown(() => setExporter(undefined))
  return items
}

/** A trace that is sampled at `share`, or is not. */
function traceThat (isTold: boolean, share: number) {
  for (;;) {
    const trace = newTrace()
    if (isSampled(trace, share) === isTold) return trace
  }
}

test('there are no operations while telemetry is disabled', async (t) => {
  t.equal(beginOperation('GET', '/patient', newTrace(), undefined), undefined)
  t.equal(
    runInOperations([], () => currentOperations().length),
    0
  )
})

test('calls are children of the request they were made for, and come with it', async (t) => {
  const items = collectItems(t)
  const traceId = newTrace()
  const operation = beginOperation('GET', '/patient/:patientId', traceId, 'b7ad6b7169203331')!
  runInOperations([operation], () =>
    recordDependency('find patients', now(), false, { 'db.operation.name': 'find' })
  )
  t.equal(items.length, 0, 'not before it is known how the request ended')
  operation.end(200)
  t.match(items, [
    {
      kind: 'dependency',
      name: 'find patients',
      traceId,
      parentId: operation.id,
      failed: false,
      rate: 100,
      operation: 'GET /patient/:patientId'
    },
    {
      kind: 'request',
      name: 'GET /patient/:patientId',
      traceId,
      id: operation.id,
      parentId: 'b7ad6b7169203331',
      failed: false
    }
  ])
  operation.recordDependency('late', now(), false, {})
  t.equal(items.length, 3)
})

test('a call is recorded in each operation that shares it, or in one of its own', async (t) => {
  const items = collectItems(t)
  const operations = [1, 2].map(() => beginOperation('POST', '/audit', newTrace(), undefined)!)
  runInOperations(operations, () => recordDependency('insert blocks', now(), false, {}))
  for (const operation of operations) operation.end(201)
  t.strictSame(
    items.filter(({ kind }) => kind === 'dependency').map(({ traceId }) => traceId),
    operations.map(({ traceId }) => traceId)
  )
  recordDependency('GET /secrets/patient-host-key', now(), false, {})
  t.equal(items.at(-1)!.parentId, undefined)
  runInOperations(operations, () => recordDependency('GET /secrets/patient-host-key', now(), false, {}))
  t.equal(items.at(-1)!.parentId, undefined, 'what a request began and did not wait for is not its part')
})

test('every process samples the same traces, and about the configured share', async (t) => {
  const traces = Array.from({ length: 20_000 }, newTrace)
  const sampled = traces.filter((trace) => isSampled(trace, 0.1))
  t.ok(sampled.length > 1_800 && sampled.length < 2_200, String(sampled.length))
  t.ok(sampled.every((trace) => isSampled(trace, 0.1) && isSampled(trace, 0.5) && isSampled(trace, 1)))
  t.ok(traces.every((trace) => !isSampled(trace, 0)))
})

test('of what is not sampled, only failures and refusals are exported, with all their calls', async (t) => {
  const items = collectItems(t, 0.25)
  for (const status of [200, 201, 304, 400, 404, 409, 412]) {
    const operation = beginOperation('GET', '/patient', traceThat(false, 0.25), undefined)!
    operation.recordDependency('find patients', now(), false, {})
    operation.end(status)
  }
  t.equal(items.length, 0)
  for (const status of [401, 403, 429, 500, 503, undefined]) {
    items.length = 0
    const operation = beginOperation('GET', '/patient', traceThat(false, 0.25), undefined)!
    operation.recordDependency('find patients', now(), false, {})
    operation.end(status)
    t.match(items, [{ rate: 100 }, { rate: 100, failed: true }], String(status))
  }
  const operation = beginOperation('GET', '/patient', traceThat(true, 0.25), undefined)!
  operation.end(200)
  t.match(items.at(-1), { rate: 25, failed: false }, 'one that stands for four')
})
