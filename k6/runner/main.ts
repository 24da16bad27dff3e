import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { SettingsError } from '#common/config.ts'
import { StartError } from '../../services/cli/system/state.ts'
import { installedK6 } from './binary.ts'
import { reportBreakpoint } from './breakpoint.ts'
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

/**
 * What runs beside a script if the system runs from a directory of this machine. Returns a function that ends
 * it, with what to print and the problems that fail the run.
 */
const COMPANIONS: Record<string, (dir: string) => () => Promise<{ lines: string[], problems: string[] }>> = {
  rotation: rotateBeside, soak: watchMemory
}

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
  const installed = await installedK6()
  if (!installed) throw new StartError('k6 version 1 is not installed; run npm run k6:install')
  const { baseUrl, subscriptionKey, localDir, description, stop } = await findTarget(script)
  const [summary, report] = [join(results, `${script}.json`), join(results, `${script}.html`)]
  // A run that is too short writes no report, and one that crashes no summary
  for (const file of [summary, report]) rmSync(file, { force: true })
  mkdirSync(results, { recursive: true })
  const env = {
    K6_SUMMARY_EXPORT: summary,
    K6_NEW_MACHINE_READABLE_SUMMARY: 'true',
    K6_WEB_DASHBOARD: 'true',
    K6_WEB_DASHBOARD_EXPORT: report,
    // The dashboard is needed for its report, not as a server
    K6_WEB_DASHBOARD_PORT: '-1',
    K6_WEB_DASHBOARD_PERIOD: '1s',
    K6_NO_USAGE_REPORT: 'true',
    K6_AUTO_EXTENSION_RESOLUTION: 'false',
    ...process.env,
    BASE_URL: baseUrl,
    SUBSCRIPTION_KEY: subscriptionKey
  }
  try {
    process.stdout.write(`k6/${script}.ts on ${description}, ${baseUrl}\n`)
    const endCompanion = localDir ? COMPANIONS[script]?.(localDir) : undefined
    const args = ['run', '--address', '', ...options, join(SCRIPTS, `${script}.ts`)]
    const code = await run(installed.k6, args, env)
    const { lines, problems } = await endCompanion?.() ?? { lines: [], problems: [] }
    process.stdout.write(`${[...lines, ...[summary, report].filter(existsSync)].join('\n')}\n`)
    process.stderr.write(problems.map((problem) => `npm run k6: ${problem}\n`).join(''))
    if (script === 'breakpoint') return reportBreakpoint(summary, code)
    return problems.length > 0 ? 1 : code
  } finally {
    await stop()
  }
}

/** Returns the exit code. */
async function run (command: string, args: string[], env: NodeJS.ProcessEnv) {
  const child = spawn(command, args, { env, stdio: 'inherit' })
  // Ctrl-C reaches k6 too, which then ends the run in order
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => child.kill())
  const [code] = await once(child, 'close') as [number | null]
  return code ?? 1
}
