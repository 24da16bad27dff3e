/** What k6 tells of a run, as far as it is read here. */
export interface Summary {
  results: {
    checks: { results: Array<{ name: string, passes: number, fails: number }> }
    metrics: Array<{ name: string, values: Record<string, number> }>
  }
}

/** k6 ends with it where a threshold was crossed. */
export const CROSSED = 99

/** As in k6/lib/settings.ts. */
const P95_MS = Number(process.env.P95_MS || 500)

/** The highest rate that breakpoint.ts found to be answered in time, and the one that was not, where the run `ended` there; with the 95th percentile of each in ms. */
export function breakpointOf ({ results: { metrics } }: Summary, ended: boolean) {
  const rates = metrics.flatMap(({ name, values }) => {
    const rate = /^http_req_duration\{scenario:rate_(\d+)\}$/.exec(name)?.[1]
    return rate !== undefined && values.max! > 0 ? [{ rate: Number(rate), p95: values.p95! }] : []
  }).sort((a, b) => a.rate - b.rate)
  const late = rates.findIndex(({ p95 }) => p95 > P95_MS)
  // Where none was late, the last one had failed requests
  const at = late >= 0 ? late : ended ? rates.length - 1 : rates.length
  return { held: rates[at - 1], passed: rates[at] }
}
