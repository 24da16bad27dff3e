/** What k6 tells of a run, as far as it is read here. */
export interface Summary {
  results: {
    checks: { results: Array<{ name: string, passes: number, fails: number }> }
    metrics: Array<{ name: string, values: Record<string, number> }>
  }
}

/** k6 ends with it where a threshold was crossed. */
export const CROSSED = 99

/** The rates that breakpoint.ts came by, and the 95th percentile of each in ms. */
export function ratesOf ({ results: { metrics } }: Summary) {
  return metrics.flatMap(({ name, values }) => {
    const rate = /^http_req_duration\{scenario:rate_(\d+)\}$/.exec(name)?.[1]
    return rate !== undefined && values.max! > 0 ? [{ rate: Number(rate), p95: values.p95! }] : []
  }).sort((a, b) => a.rate - b.rate)
}
