import { existsSync, readFileSync } from 'node:fs'
import { readRun } from '../../services/cli/system/state.ts'
import type { Companion } from './companion.ts'
import { leaks, secondHalf, slopeOf, type Point } from './trend.ts'

const NAMES = ['gateway', 'patient', 'audit', 'database'] as const
const EVERY_MS = 2_000

/** Left out: caches fill and code is compiled meanwhile. */
const WARM_UP = { share: 1 / 3, hours: 5 / 60 }
const MS: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 }
/** What soak.ts deletes when its time has come is another load. */
const LOAD_MS = [...(process.env.DURATION || '15m').matchAll(/(\d+)(ms|[hms])/g)].reduce((sum, [, count, unit]) => sum + Number(count) * MS[unit!]!, 0)
/** With fewer samples a slope tells nothing. */
const ENOUGH = 30

/** Samples the memory of the processes of the system in `dir`, and tells in the end how it grows. */
export function watchMemory (dir: string): Companion {
  if (!existsSync('/proc/self/status')) return { stop: async () => ({ lines: ['memory was not looked at: this machine has no /proc'], problems: [] }) }
  const began = performance.now()
  const points = new Map<string, Point[]>()
  const pids = new Map<string, number>()
  const ended = new Set<string>()

  const sampling = setInterval(() => {
    if (performance.now() - began > LOAD_MS) return
    for (const [name, pid] of running(dir)) {
      const mebibytes = residentMebibytes(pid)
      if (mebibytes === undefined) continue
      if (pids.has(name) && pids.get(name) !== pid) ended.add(name)
      pids.set(name, pid)
      points.set(name, [...points.get(name) ?? [], [(performance.now() - began) / 3_600_000, mebibytes]])
    }
  }, EVERY_MS)

  return {
    async stop () {
      clearInterval(sampling)
      const judged = [...points].map(([name, samples]) => judge(name, samples))
      return {
        lines: judged.map(({ line }) => line),
        problems: [...judged.flatMap(({ problem }) => problem ?? []), ...[...ended].map((name) => `${name} was started again meanwhile`)]
      }
    }
  }
}

/** What `samples` of one process, in MiB, tell. */
export function judge (name: string, samples: Point[]) {
  const from = Math.min(WARM_UP.hours, (samples.at(-1)?.[0] ?? 0) * WARM_UP.share)
  const settled = samples.filter(([hours]) => hours >= from)
  if (settled.length < ENOUGH) return { line: `${name}: too short a time for a slope of its memory` }
  const slope = (some: Point[]) => {
    const { slope, error } = slopeOf(some)
    return `${slope.toFixed(1)} MiB an hour, standard error ${error.toFixed(1)}`
  }
  const line = `${name}: ${settled.at(-1)![1].toFixed(1)} MiB resident, slope ${slope(settled)}; of the second half ${slope(secondHalf(settled))}`
  return leaks(settled) ? { line, problem: `the memory of ${name} grows` } : { line }
}

/** The processes that are looked at; none at a moment where the system does not tell. */
function running (dir: string) {
  try {
    const run = readRun(dir)
    return NAMES.flatMap((name) => run[name]?.pid ? [[name, run[name].pid] as const] : [])
  } catch {
    return []
  }
}

/** The resident set of a process; nothing where it has ended. */
export function residentMebibytes (pid: number) {
  try {
    const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return kibibytes === undefined ? undefined : Number(kibibytes) / 1_024
  } catch {}
}
