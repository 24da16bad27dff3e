import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { test, type Test } from 'tap'
import type { Result } from './faults/round.ts'
import { describeFault, drawSchedule } from './faults/schedule.ts'

/**
 * Random faults under load, and what must hold after them. FAULT_SECONDS is how long: each minute is a round
 * with a seed and a system of its own. SEED repeats the round of a seed.
 */

const ROUND = fileURLToPath(import.meta.resolve('./faults/round.ts'))
const ROUND_SECONDS = 60
const SECONDS = Number(process.env.FAULT_SECONDS ?? 30)
const FIRST_SEED = Number(process.env.SEED ?? Date.now() % 1e9)
/** Start, recovery, and the minute after which every attempt has an outcome. */
const OTHER_SECONDS = 400

/** Seeds that failed once, and why. They run for their own time. */
const REGRESSIONS = [
  { seed: 2002, seconds: 60, why: 'merges that nobody had an answer to, and records that were stored again' }
]

const rounds = Math.max(1, Math.round(SECONDS / ROUND_SECONDS))
const seconds = Math.min(SECONDS, ROUND_SECONDS)
const drawn = Array.from({ length: rounds }, (_, i) => ({ seed: FIRST_SEED + i, seconds, why: 'drawn' }))
const all = process.env.SEED ? drawn : [...REGRESSIONS, ...drawn]

for (const { seed, seconds, why } of all) {
  const timeout = (seconds + OTHER_SECONDS) * 1_000
  const name = `the promises hold after the faults of seed ${seed} (${why})`
  test(name, { timeout }, (t) => round(t, seed, seconds))
}

async function round (t: Test, seed: number, seconds: number) {
  const lines = drawSchedule(seed, seconds).map(describeFault)
  t.comment(`SEED=${seed} FAULT_SECONDS=${seconds} npm run test:faults\n${lines.join('\n')}`)
  const settings = { SEED: String(seed), FAULT_SECONDS: String(seconds) }
  const child = fork(ROUND, { env: { ...process.env, ...settings } })
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill()
    await once(child, 'exit')
  })
  const [result] = await Promise.race([once(child, 'message'), once(child, 'exit')]) as [Result | number]
  const isEnd = typeof result !== 'object' || result === null
  if (isEnd) return t.fail(`the round ended without a result: ${result}`)
  t.comment(result.figures)
  for (const skipped of result.skipped) t.comment(`*** NOT TESTED: ${skipped} ***`)
  t.same(result.findings, [], `nothing is broken after the faults of seed ${seed}`)
  child.send('end')
  await once(child, 'exit')
}
