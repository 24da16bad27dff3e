import { globSync } from 'node:fs'
import t from 'tap'

// Runs each test file by node alone, JOBS of them at a time, and reports on all of them: `npm test`. What
// tap's own runner loads into each test, to find the source files that it covers, takes a quarter of the CPU
// time. `unit` leaves out the files that start systems; JOBS is 2 by default.

const TIMEOUT_S = 600
/** The files of services/test/contract run together: services/test/contract*.test.ts import them. */
const files = globSync(['services/**/test/**/*.test.ts', 'k6/runner/test/*.test.ts'], {
  exclude: ['services/test/contract/**']
})
const STARTS_SYSTEMS = /^services\/(test|rotation|emulators\/(ingress|vault)|.*\/test\/browser|.*\/monitor\/test\/register)/
const unit = files.filter((file) => !STARTS_SYSTEMS.test(file))
/** The longest first, so that no core is idle at the end. */
const whole = [...files.filter((file) => STARTS_SYSTEMS.test(file)), ...unit]

t.jobs = Number(process.env.JOBS ?? 2)
t.setTimeout(0)
for (const file of process.argv[2] === 'unit' ? unit : whole) {
  const node = [process.execPath, '--enable-source-maps', file]
  const options = { buffered: true, timeout: TIMEOUT_S * 1_000 }
  t.spawn('env', ['-u', 'NODE_OPTIONS', `TAP_TIMEOUT=${TIMEOUT_S}`, ...node], options, file)
}
