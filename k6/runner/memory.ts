import { existsSync, readFileSync } from 'node:fs'
import { readRun } from '../../services/cli/system/state.ts'
import { soakMs } from './config.ts'
import { leaks, secondHalf, slopeOf, type Point } from './trend.ts'

const NAMES = ['gateway', 'patient', 'audit', 'database'] as const
const INTERVAL_MS = 2_000

/** Left out of the slope, since caches fill and code is compiled meanwhile. */
const WARM_UP = { share: 1 / 3, hours: 5 / 60 }
const MIN_SAMPLES = 30

/** Samples the memory of the processes of the system in `dir`. Returns a function that judges how it grew. */
export function watchMemory (dir: string) {
  if (!existsSync('/proc/self/status')) {
    return async () => ({ lines: ['memory was not measured: there is no /proc'], problems: [] })
  }
  const began = performance.now()
  const points = new Map<string, Point[]>()
  const pids = new Map<string, number>()
  const restarted = new Set<string>()

  const sampling = setInterval(() => {
    const elapsed = performance.now() - began
    // What soak.ts deletes afterwards is another load
    if (elapsed > soakMs) return
    for (const [name, pid] of running(dir)) {
      const mebibytes = residentMebibytes(pid)
      if (mebibytes === undefined) continue
      if (pids.has(name) && pids.get(name) !== pid) restarted.add(name)
      pids.set(name, pid)
      points.set(name, [...points.get(name) ?? [], [elapsed / 3_600_000, mebibytes]])
    }
  }, INTERVAL_MS)

  return async () => {
    clearInterval(sampling)
    const judged = [...points].map(([name, samples]) => judge(name, samples))
    const grown = judged.flatMap(({ problem }) => problem ?? [])
    const problems = [...grown, ...[...restarted].map((name) => `${name} was restarted during the run`)]
    return { lines: judged.map(({ line }) => line), problems }
  }
}

/** A line about the memory of one process, and a problem if it leaks; `samples` are in MiB. */
export function judge (name: string, samples: Point[]) {
  const from = Math.min(WARM_UP.hours, (samples.at(-1)?.[0] ?? 0) * WARM_UP.share)
  const settled = samples.filter(([hours]) => hours >= from)
  if (settled.length < MIN_SAMPLES) return { line: `${name}: the run was too short to judge its memory` }
  const slope = (points: Point[]) => {
    const { slope, error } = slopeOf(points)
    return `${slope.toFixed(1)} MiB an hour, standard error ${error.toFixed(1)}`
  }
  const resident = `${settled.at(-1)![1].toFixed(1)} MiB resident`
  const slopes = `slope ${slope(settled)}; in the second half ${slope(secondHalf(settled))}`
  const line = `${name}: ${resident}, ${slopes}`
  return leaks(settled) ? { line, problem: `the memory of ${name} grows` } : { line }
}

/** The names and pids of the running processes; none while the state file cannot be read. */
function running (dir: string) {
  try {
    const run = readRun(dir)
    return NAMES.flatMap((name) => run[name]?.pid ? [[name, run[name].pid] as const] : [])
  } catch {
    return []
  }
}

/** The resident set size of a process; undefined if it has ended. */
export function residentMebibytes (pid: number) {
  try {
    const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return kibibytes === undefined ? undefined : Number(kibibytes) / 1_024
  } catch {}
}
