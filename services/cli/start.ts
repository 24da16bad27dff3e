import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { SettingsError } from '#common/config.ts'
import { openKeyVault } from '#common/secrets/key-vault.ts'
import { Child, type Output } from '../emulators/processes/child.ts'
import { ping } from '../emulators/processes/probes.ts'
import { loadConfig } from './system/config.ts'
import { assume } from './system/identity.ts'
import { prepare } from './system/prepare.ts'
import {
  HOST, NAMES, databaseUrlOf, identitySettings, processesOf, registerSettings, urlOf, vaultUrlOf, type Name,
  type System
} from './system/processes.ts'
import { provision, type Provisioned } from './system/provision.ts'
import { StartError, State } from './system/state.ts'

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
  const config = loadConfig(process.env)
  const scaleToZero = scalesToZero()
  state = new State(config.LOCAL_DIR)
  const system = await prepare(config, scaleToZero, state)
  const provisioned = await startAll(system, await terminal())
  if (stopped) return
  // Without a terminal, the processes write their log lines themselves
  if (!process.stdout.isTTY) await sleep(LOG_FLUSH_MS)
  if (!stopped) welcome(system, provisioned)
}

/** Whether the option `--scale-to-zero` is set. */
function scalesToZero () {
  try {
    const { values } = parseArgs({ options: { 'scale-to-zero': { type: 'boolean', default: false } } })
    return values['scale-to-zero']
  } catch (error) {
    throw new StartError((error as Error).message)
  }
}

/** Starts the processes in the order of their dependencies. Fulfilled with the keys of the system. */
async function startAll (system: System, output: Output) {
  const { config, databases, embedded, monitored, hasAuditorPage, ports } = system
  const deadline = Date.now() + READY_MS
  let processes = processesOf(system)
  const passedOn = Object.fromEntries(PASSED_ON.map((name) => [name, process.env[name]]))
  const common = { ...passedOn, HOST, LOG_LEVEL: config.LOG_LEVEL, DRAIN_SECONDS: '0' }
  const launch = (name: Name) => {
    const { module, settings } = processes[name]
    const env = { ...common, PORT: String(ports[name]), ...settings }
    const child = new Child(name, module, env, output, () => saveRun(system))
    children[name] = child
    if (stopped) child.retire()
    else child.start()
  }
  const ready = (name: Name) => children[name]!.ready(processes[name].isReady, deadline)
  const databaseReady = async () => {
    await ready('database')
    await ping('the embedded database', databaseUrlOf(system))
  }

  launch('vault')
  if (embedded) launch('database')
  const [vault] = await Promise.all([openVault(system), ready('vault'), embedded && databaseReady()])
  const wanted = { subscriptionKey: config.SUBSCRIPTION_KEY, logOrigin: config.LOG_ORIGIN, ...databases }
  const provisioned = await provision(vault, wanted)
  system.publicKeys = provisioned.publicKeys
  processes = processesOf(system)
  const optional: Partial<Record<Name, boolean>> = { monitor: monitored, auditor: hasAuditorPage }
  const rest = (['monitor', 'auditor', 'witness', 'audit', 'patient', 'gateway'] satisfies Name[])
    .filter((name) => optional[name] ?? true)
  rest.forEach(launch)
  await Promise.all(rest.map(ready))
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

/** The output of the processes: log lines are JSON, or formatted for people on a terminal. */
async function terminal (): Promise<Output> {
  const say = (line: string) => process.stdout.write(`${line}\n`)
  if (!process.stdout.isTTY) return { say }
  const { default: pretty } = await import('pino-pretty')
  return { say, logs: pretty({ colorize: true, singleLine: true, sync: true }) }
}

function welcome (system: System, { keys: { client: key, auditor }, publicKeys: { witness } }: Provisioned) {
  const baseUrl = urlOf(system, 'gateway')
  const header = quote(`Ocp-Apim-Subscription-Key: ${key}`)
  const name = { firstName: 'Ada', lastName: 'Lovelace' }
  const patient = { ...name, gender: 'female', dateOfBirth: '1915-12-10', postCode: 'W1S4' }
  process.stdout.write(`
Ready at ${baseUrl}
Subscription key: ${key}
Subscription key of an auditor: ${auditor}
Public key of the witness: ${witness}
The audit register: npm run register -- --follow
${system.hasAuditorPage ? `The auditor's page: ${baseUrl}/auditor\n` : ''}\
${system.monitored ? `The monitor: ${urlOf(system, 'monitor')}\n` : ''}
Store a patient, then find it:
curl -i -w '\\n' ${baseUrl}/patient -H ${header} -d '${JSON.stringify(patient)}'
curl -i -w '\\n' ${baseUrl}/patient/search -H ${header} -d '{"lastName":"Lovelace"}'
`)
}

function quote (word: string) {
  return `'${word.replaceAll("'", "'\\''")}'`
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
  for (const child of Object.values(children)) child.retire()
  if (patience > 0) await Promise.all(Object.values(children).map((child) => child.ended(began + patience)))
  for (const name of NAMES) await children[name]?.stop(began + KILLED_AFTER_MS[name])
  state?.close()
}
