import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { SettingsError } from '#common/config.ts'
import { StartError } from '../../services/cli/system/state.ts'
import { findK6 } from './binary.ts'
import { breakpointOf, CROSSED } from './breakpoint.ts'
import type { Companion } from './companion.ts'
import { watchMemory } from './memory.ts'
import { rotateBeside } from './rotation.ts'
import { findTarget } from './target.ts'

const SCRIPTS = resolve(import.meta.dirname, '..')
const RESULTS = resolve(process.env.ARTEFACTS ?? join(SCRIPTS, '../.artefacts/k6'))

const names = readdirSync(SCRIPTS).flatMap((file) => /^(\w+)\.ts$/.exec(file)?.[1] ?? [])

const USAGE = `Puts load on a gateway: that of BASE_URL with SUBSCRIPTION_KEY, else that of the running npm start, else one of its own.

npm run k6 -- SCRIPT [OPTION OF k6 run…]

  SCRIPT  ${names.join(', ')}
`

/** What goes on beside a script, where the system is one of this machine. */
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
  const target = await findTarget(script)
  try {
    process.stdout.write(`k6/${script}.ts on ${target.description}, ${target.baseUrl}\n`)
    const beside = target.localDir ? COMPANIONS[script]?.(target.localDir) : undefined
    const code = await run(k6, script, options, { BASE_URL: target.baseUrl, SUBSCRIPTION_KEY: target.subscriptionKey })
    const { lines, problems } = await beside?.stop() ?? { lines: [], problems: [] }
    process.stdout.write(`${[...lines, ...results(script).filter(existsSync)].join('\n')}\n`)
    process.stderr.write(problems.map((problem) => `npm run k6: ${problem}\n`).join(''))
    if (script === 'breakpoint') return tellBreakpoint(code)
    return problems.length > 0 ? 1 : code
  } finally {
    await target.stop()
  }
}

function results (script: string) {
  return [join(RESULTS, `${script}.json`), join(RESULTS, `${script}.html`)] as const
}

/** Runs a script, and answers with what k6 ended. Its text comes to the terminal, its JSON and its page into files. */
async function run (k6: string, script: string, options: string[], settings: NodeJS.ProcessEnv) {
  mkdirSync(RESULTS, { recursive: true })
  const [summary, page] = results(script)
  // A run that is too short makes no page, and one that breaks no summary
  for (const file of [summary, page]) rmSync(file, { force: true })
  const defaults = {
    K6_SUMMARY_EXPORT: summary,
    K6_NEW_MACHINE_READABLE_SUMMARY: 'true',
    K6_WEB_DASHBOARD: 'true',
    K6_WEB_DASHBOARD_EXPORT: page,
    // The page is wanted, and no server
    K6_WEB_DASHBOARD_PORT: '-1',
    K6_WEB_DASHBOARD_PERIOD: '1s',
    // Nothing is told to anybody, and nothing fetched
    K6_NO_USAGE_REPORT: 'true',
    K6_AUTO_EXTENSION_RESOLUTION: 'false'
  }
  const load = spawn(k6, ['run', '--address', '', ...options, join(SCRIPTS, `${script}.ts`)], { env: { ...defaults, ...process.env, ...settings }, stdio: 'inherit' })
  // A Ctrl-C reaches k6 by itself, which ends the run as it should end
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => load.kill())
  const [code] = await once(load, 'close') as [number | null]
  return code ?? 1
}

/** A rate whose 95th percentile passed the bound is what is looked for. */
function tellBreakpoint (code: number) {
  if (code !== CROSSED && code !== 0) return code
  const { held, passed } = breakpointOf(JSON.parse(readFileSync(results('breakpoint')[0], 'utf8')), code === CROSSED)
  const tell = ({ rate, p95 }: { rate: number, p95: number }) => `${rate} operations a second with a 95th percentile of ${Math.round(p95)} ms`
  process.stdout.write(`${held ? `held: ${tell(held)}\n` : ''}${passed ? `passed the bound: ${tell(passed)}\n` : 'no rate passed the bound\n'}`)
  return 0
}
