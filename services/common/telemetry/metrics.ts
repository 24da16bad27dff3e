/** The metrics of all processes, with their dimensions. */
export const metricDefinitions = {
  'audit.batch.size': { kind: 'histogram', unit: '{record}', dimensions: [] },
  'audit.batch.wait': { kind: 'histogram', unit: 'ms', dimensions: [] },
  'audit.log.batch_size': { kind: 'histogram', unit: '{record}', dimensions: [] },
  /** Chains of which a block is missing. */
  'audit.log.damaged_chains': { kind: 'gauge', unit: '{chain}', dimensions: [] },
  'audit.log.wait': { kind: 'histogram', unit: 'ms', dimensions: [] },
  'audit.unsequenced_age': { kind: 'gauge', unit: 's', dimensions: [] },
  'audit.queue.depth': { kind: 'histogram', unit: '{record}', dimensions: [] },
  'key.age_days': { kind: 'gauge', unit: 'd', dimensions: ['secret'] },
  'key.rotations': { kind: 'counter', unit: '{version}', dimensions: ['secret'] },
  'database.throttled': { kind: 'counter', unit: '{attempt}', dimensions: [] },
  'database.retries': { kind: 'counter', unit: '{attempt}', dimensions: ['error.type'] },
  /** The age of the oldest checkpoint after the last one that a witness cosigned. */
  'audit.unwitnessed_age': { kind: 'gauge', unit: 's', dimensions: ['witness'] },
  'witness.cosigned': { kind: 'counter', unit: '{checkpoint}', dimensions: [] },
  'witness.began': { kind: 'counter', unit: '{log}', dimensions: [] },
  'witness.inconsistent': { kind: 'counter', unit: '{checkpoint}', dimensions: [] },
  refused_calls: { kind: 'counter', unit: '{call}', dimensions: ['kind'] },
  'telemetry.lost': { kind: 'counter', unit: '{item}', dimensions: [] }
} as const

type MetricName = keyof typeof metricDefinitions
export type Dimensions = Record<string, string>

export interface MetricValues {
  name: MetricName
  dimensions: Dimensions
  /** One value of a gauge, the sum of a counter, all values of a histogram. */
  values: number[]
}

/** Values of a histogram per export. */
const MAX_VALUES = 1_000
const MAX_SERIES = 200

let collected: Map<string, MetricValues> | undefined

/** Enables or disables the collection of metrics. */
export function collectMetrics (enabled: boolean) {
  collected = enabled ? new Map() : undefined
}

/** Returns what was recorded since the last call. */
export function takeMetrics (): MetricValues[] {
  if (!collected?.size) return []
  const taken = [...collected.values()]
  collected.clear()
  return taken
}

/** Records a value, if collection is enabled. */
export function recordMetric (name: MetricName, value: number, dimensions: Dimensions = {}) {
  if (!collected) return
  const key = `${name} ${Object.values(dimensions).join(' ')}`
  const series = collected.get(key)
  if (!series) {
    if (collected.size < MAX_SERIES) collected.set(key, { name, dimensions, values: [value] })
    return
  }
  const { kind } = metricDefinitions[name]
  if (kind === 'counter') series.values[0]! += value
  else if (kind === 'gauge') series.values[0] = value
  else if (series.values.length < MAX_VALUES) series.values.push(value)
}
