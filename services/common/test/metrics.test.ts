import { readFile } from 'node:fs/promises'
import { test } from 'tap'
import { collectMetrics, metricDefinitions, recordMetric, takeMetrics } from '../telemetry/metrics.ts'

test('nothing is collected unless collection is enabled', async (t) => {
  recordMetric('database.throttled', 1)
  t.strictSame(takeMetrics(), [])
})

test('counters add up, gauges keep the last value, histograms all values', async (t) => {
  collectMetrics(true)
  t.teardown(() => collectMetrics(false))
  for (const value of [1, 2]) {
    recordMetric('database.throttled', value)
    recordMetric('key.age_days', value, { secret: 'patient-host-key' })
    recordMetric('audit.batch.size', value)
    recordMetric('refused_calls', 1, { kind: value === 1 ? 'host-key' : 'caller-address' })
  }
  t.strictSame(
    takeMetrics().map(({ name, dimensions, values }) => [name, ...Object.values(dimensions), ...values]),
    [
      ['database.throttled', 3],
      ['key.age_days', 'patient-host-key', 2],
      ['audit.batch.size', 1, 2],
      ['refused_calls', 'host-key', 1],
      ['refused_calls', 'caller-address', 1]
    ]
  )
  t.strictSame(takeMetrics(), [])
})

test('what is collected between two exports is bounded', async (t) => {
  collectMetrics(true)
  t.teardown(() => collectMetrics(false))
  for (let i = 0; i < 5_000; i++) {
    recordMetric('audit.batch.size', i)
    recordMetric('database.retries', 1, { 'error.type': String(i) })
  }
  const taken = takeMetrics()
  t.ok(taken.length <= 200)
  t.ok(taken.every(({ values }) => values.length <= 1_000))
})

test('docs/telemetry.md lists every metric with its kind, and no other one', async (t) => {
  const text = await readFile(new URL('../../../docs/telemetry.md', import.meta.url), 'utf8')
  const [, section] = text.split('\n## Metrics\n')
  const rows = section!.split('\n## ')[0]!.matchAll(/^\| `([\w.]+)` \| (\w+) \|/gm)
  const listed = Array.from(rows, ([, name, kind]) => [name, kind])
  const defined = Object.entries(metricDefinitions).map(([name, { kind }]) => [name, kind])
  t.strictSame(listed.sort(), defined.sort())
})
