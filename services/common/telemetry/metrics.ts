/** What processes measure, with the dimensions that a value may have; no other leaves. */
export const metricDefinitions = {
  'audit.batch.size': { kind: 'histogram', unit: '{record}', dimensions: [] },
  'audit.batch.wait': { kind: 'histogram', unit: 'ms', dimensions: [] },
  'audit.queue.depth': { kind: 'histogram', unit: '{record}', dimensions: [] },
  'key.age_days': { kind: 'gauge', unit: 'd', dimensions: ['secret'] },
  'key.rotations': { kind: 'counter', unit: '{version}', dimensions: ['secret'] },
  'database.throttled': { kind: 'counter', unit: '{attempt}', dimensions: [] },
  'database.retries': { kind: 'counter', unit: '{attempt}', dimensions: ['error.type'] },
  refused_calls: { kind: 'counter', unit: '{call}', dimensions: ['kind'] },
  'telemetry.lost': { kind: 'counter', unit: '{item}', dimensions: [] }
} as const

export type MetricName = keyof typeof metricDefinitions
export type Dimensions = Record<string, string>

export interface MetricValues {
  name: MetricName
  dimensions: Dimensions
  /** One value of a gauge, the sum of a counter, all values of a histogram. */
  values: number[]
}

/** As many of a histogram as are told of one second. */
const MAX_VALUES = 1_000
const MAX_SERIES = 200

let measured: Map<string, MetricValues> | undefined

/** Has what is measured kept for `takeMeasured`, or not any more. */
export function collectMetrics (keep: boolean) {
  measured = keep ? new Map() : undefined
}

/** What was measured since the last time. */
export function takeMetrics (): MetricValues[] {
  if (!measured?.size) return []
  const taken = [...measured.values()]
  measured.clear()
  return taken
}

/** Notes a value. Where nothing is kept, it costs nothing. */
export function recordMetric (name: MetricName, value: number, dimensions: Dimensions = {}) {
  if (!measured) return
  const key = `${name} ${Object.values(dimensions).join(' ')}`
  const series = measured.get(key)
  if (!series) {
    if (measured.size < MAX_SERIES) measured.set(key, { name, dimensions, values: [value] })
    return
  }
  const { kind } = metricDefinitions[name]
  if (kind === 'counter') series.values[0]! += value
  else if (kind === 'gauge') series.values[0] = value
  else if (series.values.length < MAX_VALUES) series.values.push(value)
}
