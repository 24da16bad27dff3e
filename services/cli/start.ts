import { setTimeout as sleep } from 'node:timers/promises'
import { SettingsError } from '#common/config.ts'
import { openKeyVault } from '#common/secrets/key-vault.ts'
import { Child, type Output } from '../emulators/processes/child.ts'
import { ping } from '../emulators/processes/probes.ts'
import { banner } from './system/banner.ts'
import { loadConfig } from './system/config.ts'
import { assume } from './system/identity.ts'
import { openBrowser } from './system/open-browser.ts'
import { USAGE, readOptions } from './system/options.ts'
import { outputs, say } from './system/output.ts'
import { prepare } from './system/prepare.ts'
import {
  HOST, NAMES, databaseUrlOf, identitySettings, processesOf, registerSettings, urlOf, vaultUrlOf, type Name,
  type System
} from './system/processes.ts'
import { provision, type Provisioned } from './system/provision.ts'
import { StartError, State } from './system/state.ts'
import { Steps } from './system/steps.ts'

// Generous for a busy machine: a process that fails exits and is reported at once
const READY_MS = 180_000
/** Longer than processes buffer log lines. */
const LOG_FLUSH_MS = 250
/** Environment variables that every process gets. */
const PASSED_ON = [
  'PATH', 'HOME', 'TMPDIR', 'TMP', 'TEMP', 'LANG', 'LC_ALL', 'TZ', 'SystemRoot',
  'NODE_COMPILE_CACHE', 'NODE_OPTIONS'
]

/** When a process that has not exited is killed, in ms after the signal. */
const KILLED_AFTER_MS: Record<Name, number> = {
  gateway: 1500,
  auditor: 2000,
  patient: 2250,
  audit: 2750,
  witness: 3000,
  database: 3250,
  monitor: 3500,
  vault: 3750
}
/** The time to exit by themselves after Ctrl-C, which a terminal sends to all processes. */
const CTRL_C_MS = 1000

const children: Partial<Record<Name, Child>> = {}
const interruption = new AbortController()
let state: State | undefined
let stopped: Promise<void> | undefined

process.umask(0o077)
process.on('SIGTERM', () => end(0))
process.on('SIGHUP', () => end(0))
process.on('SIGINT', () => end(0, CTRL_C_MS))

try {
  await start()
} catch (error) {
  if (!stopped) {
    const expected = error instanceof StartError || error instanceof SettingsError
    process.stderr.write(`npm start: ${expected ? error.message : (error as Error).stack}\n`)
  }
  await end(1)
}

async function start () {
  const options = readOptions()
  if (options.help) return process.stdout.write(USAGE)
  const config = loadConfig(process.env)
  state = new State(config.LOCAL_DIR)
  const steps = new Steps(say)
  const system = await prepare(config, options.scaleToZero, state)
  const outputOf = await outputs(system.path('logs'), options.logs)
  const provisioned = await startAll(system, steps, outputOf)
  if (stopped) return
  steps.end()
  if (options.sample > 0) await storeInvented(options.sample, system, provisioned)
  // The lines of the start come before the banner
  if (options.logs) await sleep(LOG_FLUSH_MS)
  if (stopped) return
  process.stdout.write(banner(system, provisioned))
  if (options.open) {
    const portal = `${urlOf(system, 'gateway')}/`
    openBrowser(portal, () => process.stderr.write('npm start: no browser can be opened\n'))
  }
}

async function storeInvented (count: number, system: System, { keys }: Provisioned) {
  const { storeSample } = await import('./sample/store-sample.ts')
  const target = { url: urlOf(system, 'gateway'), key: keys.client, file: system.path('sample') }
  try {
    await storeSample(count, { ...target, signal: interruption.signal })
  } catch (error) {
    // The system works without it
    if (!(error instanceof StartError)) throw error
    if (!stopped) process.stderr.write(`npm start: ${error.message}\n`)
  }
}

/** Starts the processes in the order of their dependencies. Fulfilled with the keys of the system. */
async function startAll (system: System, steps: Steps, outputOf: (name: string) => Output) {
  const { config, databases, embedded, monitored, hasAuditorPage, ports } = system
  const deadline = Date.now() + READY_MS
  let processes = processesOf(system)
  const passedOn = Object.fromEntries(PASSED_ON.map((name) => [name, process.env[name]]))
  const common = { ...passedOn, HOST, LOG_LEVEL: config.LOG_LEVEL, DRAIN_SECONDS: '0' }
  const launch = (name: Name) => {
    const { module, settings } = processes[name]
    const env = { ...common, PORT: String(ports[name]), ...settings }
    const child = new Child(name, module, env, outputOf(name), () => saveRun(system))
    children[name] = child
    if (stopped) child.retire()
    else child.start()
  }
  const isReady = async (name: Name) => {
    await children[name]!.ready(processes[name].isReady, deadline)
    if (name === 'database') await ping('the embedded database', databaseUrlOf(system))
  }
  const startTogether = (names: Name[]) => {
    steps.begin(names)
    names.forEach(launch)
    return Promise.all(names.map((name) => steps.time(name, isReady(name), system.path(`logs/${name}.log`))))
  }

  const [vault] = await Promise.all([
    openVault(system), startTogether(embedded ? ['vault', 'database'] : ['vault'])
  ])
  const wanted = { subscriptionKey: config.SUBSCRIPTION_KEY, logOrigin: config.LOG_ORIGIN, ...databases }
  const provisioned = await steps.time('keys', provision(vault, wanted), system.path('logs/vault.log'))
  system.publicKeys = provisioned.publicKeys
  processes = processesOf(system)
  const optional: Partial<Record<Name, boolean>> = { monitor: monitored, auditor: hasAuditorPage }
  await startTogether((['monitor', 'auditor', 'witness', 'audit', 'patient', 'gateway'] satisfies Name[])
    .filter((name) => optional[name] ?? true))
  return provisioned
}

/** A client of the vault, which this process fills as its deployer. */
async function openVault (system: System) {
  const settings = identitySettings(system, 'deployer')
  await assume(settings, system.path('certificates/ca.pem'))
  return openKeyVault({ KEY_VAULT_URI: vaultUrlOf(system), AZURE_CLIENT_ID: settings.AZURE_CLIENT_ID })
}

/** Stores which processes run and where, for commands and tests. */
function saveRun (system: System) {
  if (stopped) return
  const { databases: { patient, audit }, embedded, monitored, hasAuditorPage } = system
  const running = (name: Name, url = urlOf(system, name)) => ({ pid: children[name]?.pid, url })
  state!.saveRun({
    pid: process.pid,
    gateway: running('gateway'),
    patient: { ...running('patient'), database: patient.database },
    audit: { ...running('audit'), database: audit.database, settings: registerSettings(system) },
    witness: running('witness'),
    vault: running('vault', vaultUrlOf(system)),
    keyRefreshSeconds: system.config.KEY_REFRESH_SECONDS,
    ...(monitored && { monitor: running('monitor') }),
    ...(hasAuditorPage && { auditor: running('auditor') }),
    ...(embedded && { database: running('database', databaseUrlOf(system)) })
  })
}

/**
 * Stops all processes, the gateway first, and exits.
 *
 * @param patience ms that the processes have to exit by themselves
 */
async function end (exitCode: number, patience = 0) {
  stopped ??= stop(patience)
  await stopped
  process.exit(exitCode)
}

async function stop (patience: number) {
  const began = Date.now()
  interruption.abort()
  for (const child of Object.values(children)) child.retire()
  if (patience > 0) await Promise.all(Object.values(children).map((child) => child.ended(began + patience)))
  for (const name of NAMES) await children[name]?.stop(began + KILLED_AFTER_MS[name])
  state?.close()
}
