import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { SettingsError } from '#common/config.ts'
import { StartError } from '../../services/cli/system/state.ts'
import { findK6 } from './binary.ts'
import { breakpointOf, THRESHOLD_CROSSED } from './breakpoint.ts'
import type { Companion } from './companion.ts'
import { results } from './config.ts'
import { watchMemory } from './memory.ts'
import { rotateBeside } from './rotation.ts'
import { findTarget } from './target.ts'

const SCRIPTS = resolve(import.meta.dirname, '..')

const names = readdirSync(SCRIPTS).flatMap((file) => /^(\w+)\.ts$/.exec(file)?.[1] ?? [])

const USAGE = `Load tests the gateway at BASE_URL with SUBSCRIPTION_KEY, or a running or new system.

npm run k6 -- SCRIPT [OPTION OF k6 run…]

  SCRIPT  ${names.join(', ')}
`

/** What runs beside a script if the system runs on this machine. */
const COMPANIONS: Record<string, (dir: string) => Companion> = { rotation: rotateBeside, soak: watchMemory }

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  const expected = error instanceof StartError || error instanceof SettingsError
  process.stderr.write(`npm run k6: ${expected ? error.message : (error as Error).stack}\n`)
  process.exitCode = 1
}

async function main ([script, ...options]: string[]) {
  if (script === undefined || !names.includes(script)) {
    process[script === '--help' ? 'stdout' : 'stderr'].write(USAGE)
    return script === '--help' ? 0 : 1
  }
  const k6 = await findK6()
  const { baseUrl, subscriptionKey, localDir, description, stop } = await findTarget(script)
  try {
    process.stdout.write(`k6/${script}.ts on ${description}, ${baseUrl}\n`)
    const companion = localDir ? COMPANIONS[script]?.(localDir) : undefined
    const code = await run(k6, script, options, { BASE_URL: baseUrl, SUBSCRIPTION_KEY: subscriptionKey })
    const { lines, problems } = await companion?.stop() ?? { lines: [], problems: [] }
    process.stdout.write(`${[...lines, ...Object.values(filesOf(script)).filter(existsSync)].join('\n')}\n`)
    process.stderr.write(problems.map((problem) => `npm run k6: ${problem}\n`).join(''))
    if (script === 'breakpoint') return reportBreakpoint(code)
    return problems.length > 0 ? 1 : code
  } finally {
    await stop()
  }
}

function filesOf (script: string) {
  return { summary: join(results, `${script}.json`), report: join(results, `${script}.html`) }
}

/** Runs a script and returns the exit code of k6; its summary and its report go to files. */
async function run (k6: string, script: string, options: string[], settings: NodeJS.ProcessEnv) {
  mkdirSync(results, { recursive: true })
  const { summary, report } = filesOf(script)
  // A run that is too short writes no report, and one that crashes no summary
  for (const file of [summary, report]) rmSync(file, { force: true })
  const defaults = {
    K6_SUMMARY_EXPORT: summary,
    K6_NEW_MACHINE_READABLE_SUMMARY: 'true',
    K6_WEB_DASHBOARD: 'true',
    K6_WEB_DASHBOARD_EXPORT: report,
    // The dashboard is needed for its report, not as a server
    K6_WEB_DASHBOARD_PORT: '-1',
    K6_WEB_DASHBOARD_PERIOD: '1s',
    K6_NO_USAGE_REPORT: 'true',
    K6_AUTO_EXTENSION_RESOLUTION: 'false'
  }
  const args = ['run', '--address', '', ...options, join(SCRIPTS, `${script}.ts`)]
  const load = spawn(k6, args, { env: { ...defaults, ...process.env, ...settings }, stdio: 'inherit' })
  // Ctrl-C reaches k6 too, which then ends the run in order
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => load.kill())
  const [code] = await once(load, 'close') as [number | null]
  return code ?? 1
}

/** Succeeds if a threshold was crossed, since that is what the script looks for. */
function reportBreakpoint (code: number) {
  if (code !== THRESHOLD_CROSSED && code !== 0) return code
  const summary = JSON.parse(readFileSync(filesOf('breakpoint').summary, 'utf8'))
  const { held, exceeded } = breakpointOf(summary, code === THRESHOLD_CROSSED)
  const line = ({ rate, p95 }: { rate: number, p95: number }) =>
    `${rate} operations a second with a 95th percentile of ${Math.round(p95)} ms\n`
  if (held) process.stdout.write(`within the bound: ${line(held)}`)
  process.stdout.write(exceeded ? `exceeded the bound: ${line(exceeded)}` : 'no rate exceeded the bound\n')
  return 0
}
