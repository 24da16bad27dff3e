import { globSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'

// Runs test files, JOBS processes at a time, and reports on them. `npm test` leaves out the slow ones, which
// `all` runs too; `unit` runs only those that start no process and are not long. Files that start processes
// or systems have a process each, without what tap's own runner loads into it to find the source files that
// it covers, which takes a quarter of the CPU time; the others share processes.

const TIMEOUT_S = 900
const HOOKS = join(import.meta.dirname, 'runner/hooks.ts')
const BATCH_FILE = join(import.meta.dirname, 'runner/batch.ts')
/** The files of services/test/contract run together: services/test/contract*.test.ts import them. */
const files = globSync(['services/**/test/**/*.test.ts', 'k6/runner/test/*.test.ts'], {
  exclude: ['services/test/contract/**']
})
const STARTS_SYSTEMS = /^services\/(test|rotation|emulators\/(ingress|vault)|.*\/monitor\/test\/register)/
/** Browsers, and what starts, kills or rotates systems again and again: more than half of the time. */
const IS_SLOW = new RegExp(`^services/(${[
  '.*/test/browser', 'audit/test/.*/kills', 'cli/import/test/command', 'cli/register/test/archive',
  'common/test/database-stalled', 'emulators/ingress/test/ingress', 'patient/test/reconciler',
  'rotation/test/(cosmos-keys|database-users|interrupted)',
  'test/(contract-failing|import|quick-start|scale-to-zero|start|tlog.*)'
].join('|')})\\.test\\.ts$`)
/** Their tests start, and often kill, processes, or use what a process has once: an endpoint of tokens. */
const IS_ALONE = new RegExp(`/(${[
  'gateway/test/host-key|processes|run-service|server|stores|token-renewal|tokens'
].join('|')})\\.test\\.ts$`)
/** They take more than some seconds each. */
const IS_LONG = new RegExp(`^services/(${[
  'audit/test/(evidence/routes|log/sequencer|register|streams)',
  'cli/register/test/(running|verify)',
  'emulators/(gateway/test/policies|mongodb/test/(fairness|index))',
  'patient/test/(merge|move)'
].join('|')})\\.test\\.ts$`)

function kindOf (file: string) {
  if (IS_SLOW.test(file)) return 'slow'
  if (STARTS_SYSTEMS.test(file)) return 'systems'
  if (IS_ALONE.test(file)) return 'alone'
  return IS_LONG.test(file) ? 'long' : 'unit'
}
const { slow = [], systems = [], alone = [], long = [], unit = [] } = Object.groupBy(files.sort(), kindOf)

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

const which = process.argv[2]
// They wait most of the time, those without processes even more
t.jobs = Number(process.env.JOBS ?? (which === 'unit' ? 4 : 3))
t.setTimeout(0)
// The longest first, so that no core is idle at the end
if (which === 'all') for (const file of slow) run(file, [file])
if (which !== 'unit') {
  for (const file of [...systems, ...alone]) run(file, [file])
  runTogether(long, 4)
}
runTogether(unit, 8)

/** Runs so many files in one process. */
function runTogether (files: string[], size: number) {
  for (let i = 0; i < files.length; i += size) {
    const batch = files.slice(i, i + size)
    const name = `${batch[0]} to ${batch.at(-1)}`
    run(name, ['--import', HOOKS, BATCH_FILE], { TEST_FILES: batch.join() })
  }
}
