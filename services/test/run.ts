import { globSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

// Runs each test file by node alone, JOBS of them at a time, and reports on all of them: `npm test`. What
// tap's own runner loads into each test, to find the source files that it covers, takes a quarter of the CPU
// time. `unit` leaves out the files that start systems or processes; JOBS is 2 by default.

const TIMEOUT_S = 900
/** Files that start no process run together, so many in one process. */
const BATCH = 8
const HOOKS = join(import.meta.dirname, 'runner/hooks.ts')
const BATCH_FILE = join(import.meta.dirname, 'runner/batch.ts')
/** The files of services/test/contract run together: services/test/contract*.test.ts import them. */
const files = globSync(['services/**/test/**/*.test.ts', 'k6/runner/test/*.test.ts'], {
  exclude: ['services/test/contract/**']
})
const STARTS_SYSTEMS = /^services\/(test|rotation|emulators\/(ingress|vault)|.*\/test\/browser|.*\/monitor\/test\/register)/
/** Their tests start, and often kill, processes. */
const STARTS_PROCESSES = /\/(archive|command|host-key|kills|processes|reconciler|run-service|server|stores)\.test\.ts$/
const unit = files.filter((file) => !STARTS_SYSTEMS.test(file) && !STARTS_PROCESSES.test(file)).sort()
/** The longest first, so that no core is idle at the end. */
const others = [
  ...files.filter((file) => STARTS_SYSTEMS.test(file)), ...files.filter((file) => STARTS_PROCESSES.test(file))
]

/** Memory where there is enough, since databases wait for the disk after each write. */
function temporaryDirectory () {
  try {
    const { bavail, bsize } = statfsSync('/dev/shm')
    if (bavail * bsize >= 4 * 2 ** 30) return { TMPDIR: '/dev/shm' }
  } catch {}
  return {}
}

function run (name: string, args: string[], env: NodeJS.ProcessEnv = {}) {
  const { NODE_OPTIONS: _, ...rest } = process.env
  t.spawn(process.execPath, ['--enable-source-maps', ...args], {
    buffered: true,
    timeout: TIMEOUT_S * 1_000,
    env: { ...rest, TAP_TIMEOUT: String(TIMEOUT_S), ...temporaryDirectory(), ...env }
  }, name)
}

t.jobs = Number(process.env.JOBS ?? 2)
t.setTimeout(0)
if (process.argv[2] !== 'unit') for (const file of others) run(file, [file])
for (let i = 0; i < unit.length; i += BATCH) {
  const batch = unit.slice(i, i + BATCH)
  const name = `${batch[0]} to ${batch.at(-1)}`
  run(name, ['--import', HOOKS, BATCH_FILE], { TEST_FILES: batch.join() })
}
