import { readFileSync } from 'node:fs'
import { p95Ms } from './config.ts'

/** The parts of a k6 summary that are read here. */
export interface Summary {
  results: {
    checks: { results: Array<{ name: string, passes: number, fails: number }> }
    metrics: Array<{ name: string, values: Record<string, number> }>
  }
}

/** The exit code of k6 after a crossed threshold. */
const THRESHOLD_CROSSED = 99

/**
 * The highest rate that stayed within the bound and the first that did not, each with its 95th percentile in
 * ms.
 *
 * @param crossed whether a crossed threshold ended the run
 */
export function breakpointOf ({ results: { metrics } }: Summary, crossed: boolean) {
  const rates = metrics.flatMap(({ name, values }) => {
    const rate = /^http_req_duration\{scenario:rate_(\d+)\}$/.exec(name)?.[1]
    return rate !== undefined && values.max! > 0 ? [{ rate: Number(rate), p95: values.p95! }] : []
  }).sort((a, b) => a.rate - b.rate)
  const late = rates.findIndex(({ p95 }) => p95 > p95Ms)
  // If none was late, failed requests ended the run at the last rate
  const at = late >= 0 ? late : crossed ? rates.length - 1 : rates.length
  return { held: rates[at - 1], exceeded: rates[at] }
}

/** Prints the breakpoint. Returns 0 if a threshold was crossed, since that is what the script looks for. */
export function reportBreakpoint (summaryFile: string, code: number) {
  if (code !== THRESHOLD_CROSSED && code !== 0) return code
  const summary = JSON.parse(readFileSync(summaryFile, 'utf8'))
  const { held, exceeded } = breakpointOf(summary, code === THRESHOLD_CROSSED)
  const line = ({ rate, p95 }: { rate: number, p95: number }) =>
    `${rate} operations a second with a 95th percentile of ${Math.round(p95)} ms\n`
  if (held) process.stdout.write(`within the bound: ${line(held)}`)
  process.stdout.write(exceeded ? `exceeded the bound: ${line(exceeded)}` : 'no rate exceeded the bound\n')
  return 0
}
