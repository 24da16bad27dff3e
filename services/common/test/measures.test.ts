import { test } from 'tap'
import { keepMeasured, measure, takeMeasured } from '../telemetry/measures.ts'

test('where nothing is kept there is nothing to take', async (t) => {
  measure('database.throttled', 1)
  t.strictSame(takeMeasured(), [])
})

test('counters add up, gauges tell the last, histograms all', async (t) => {
  keepMeasured(true)
  t.teardown(() => keepMeasured(false))
  for (const value of [1, 2]) {
    measure('database.throttled', value)
    measure('key.age_days', value, { secret: 'patient-host-key' })
    measure('audit.batch.size', value)
    measure('refused_calls', 1, { kind: value === 1 ? 'host-key' : 'caller-address' })
  }
  t.strictSame(takeMeasured().map(({ name, dimensions, values }) => [name, ...Object.values(dimensions), ...values]), [
    ['database.throttled', 3],
    ['key.age_days', 'patient-host-key', 2],
    ['audit.batch.size', 1, 2],
    ['refused_calls', 'host-key', 1],
    ['refused_calls', 'caller-address', 1]
  ])
  t.strictSame(takeMeasured(), [])
})

test('what is kept between two times has a bound', async (t) => {
  keepMeasured(true)
  t.teardown(() => keepMeasured(false))
  for (let i = 0; i < 5_000; i++) {
    measure('audit.batch.size', i)
    measure('database.retries', 1, { 'error.type': String(i) })
  }
  const taken = takeMeasured()
  t.ok(taken.length <= 200)
  t.ok(taken.every(({ values }) => values.length <= 1_000))
})
