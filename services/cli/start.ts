import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { SettingsError } from '#common/config.ts'
import { Child, preloads, type Output } from '../emulators/processes/child.ts'
import { freePorts, isFree, ping, reservePort } from '../emulators/processes/probes.ts'
import { makeCertificates } from './system/certificates.ts'
import { loadConfig, type Config } from './system/config.ts'
import { identities, type Identity } from './system/identity.ts'
import {
  HOST, NAMES, identitySettings, processesOf, urlOf, vaultUrlOf, type Name, type Service, type System
} from './system/processes.ts'
import type { Wanted } from './system/provision.ts'
import type { Provisioned } from './system/provisioner.ts'
import { StartError, State, type Run } from './system/state.ts'

// Generous for a busy machine: a process that fails exits and is reported at once
const READY_MS = 180_000
/** Longer than processes buffer log lines. */
const LOG_FLUSH_MS = 250
/** Environment variables that every process gets. */
const PASSED_ON = [
  'PATH', 'HOME', 'TMPDIR', 'TMP', 'TEMP', 'LANG', 'LC_ALL', 'TZ', 'SystemRoot',
  'NODE_COMPILE_CACHE', 'NODE_OPTIONS'
]
/** The identities of commands that use the running system. */
const TOOLS: Identity[] = ['viewer', 'rotation']

/** When a process that has not exited is killed, in ms after the signal. */
const KILLED_AFTER_MS: Record<Name, number> = {
  gateway: 1500, patient: 2250, audit: 2750, database: 3250, monitor: 3500, vault: 3750
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
  await start(loadConfig(process.env), scalesToZero())
} catch (error) {
  if (!stopped) {
    const expected = error instanceof StartError || error instanceof SettingsError
    process.stderr.write(`npm start: ${expected ? error.message : (error as Error).stack}\n`)
  }
  await end(1)
}

async function start (config: Config, scaleToZero: boolean) {
  state = new State(config.LOCAL_DIR)
  await endOfPreviousRun(state.leftovers())
  const monitored = config.MONITOR === 'on' && config.APPLICATIONINSIGHTS_CONNECTION_STRING === undefined
  await checkPort('PORT', config.PORT)
  if (monitored) await checkPort('MONITOR_PORT', config.MONITOR_PORT)
  const databases = { patient: `${config.DATABASE_PREFIX}patient`, audit: `${config.DATABASE_PREFIX}audit` }
  const connections = await checkDatabases(config, databases)
  const certificates = state.path('certificates')
  await makeCertificates(certificates, ['vault', 'monitor'])
  const system: System = {
    config,
    scaleToZero,
    monitored,
    databases,
    certificates,
    ports: await choosePorts(config),
    headers: state.identityHeaders(identities, TOOLS),
    authorities: authoritiesFile(certificates),
    path: (name) => state!.path(name)
  }
  const embedded = !(connections.patient && connections.audit)
  const subscriptionKey = await startAll(system, await terminal(), embedded, connections)
  if (stopped) return
  // Without a terminal, the processes write their log lines themselves
  if (!process.stdout.isTTY) await sleep(LOG_FLUSH_MS)
  const monitorUrl = monitored ? urlOf(system, 'monitor') : undefined
  if (!stopped) welcome(urlOf(system, 'gateway'), subscriptionKey, monitorUrl)
}

/** Starts the processes in the order of their dependencies. Fulfilled with the subscription key. */
async function startAll (
  system: System, output: Output, embedded: boolean, connections: Partial<Record<Service, string>>
) {
  const deadline = Date.now() + READY_MS
  const processes = processesOf(system)
  const launch = (name: Name) => {
    const env = {
      ...passedOn(),
      HOST,
      PORT: String(system.ports[name]),
      LOG_LEVEL: system.config.LOG_LEVEL,
      DRAIN_SECONDS: '0',
      ...processes[name].settings
    }
    const child = new Child(name, processes[name].module, env, output, () => saveRun(system, embedded))
    children[name] = child
    if (stopped) child.retire()
    else child.start()
  }
  const ready = (name: Name) => children[name]!.ready(processes[name].isReady, deadline)

  launch('vault')
  const provision = provisioner({ ...passedOn(), ...identitySettings(system, 'deployer') })
  if (embedded) {
    launch('database')
    await ready('database')
    await ping('the embedded database', databaseUrlOf(system))
  }
  await ready('vault')
  const subscriptionKey = await provision(wanted(system, connections))
  const rest: Name[] = [...(system.monitored ? ['monitor'] as const : []), 'audit', 'patient', 'gateway']
  rest.forEach(launch)
  await Promise.all(rest.map(ready))
  return subscriptionKey
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

/** Waits for the processes of a killed run, which exit shortly after it. */
async function endOfPreviousRun (previous: Partial<Run>) {
  const deadline = Date.now() + 2000
  const pids = NAMES.flatMap((name) => previous[name]?.pid ?? [])
  while (pids.some(isAlive) && Date.now() < deadline) await sleep(20)
}

function isAlive (pid: number) {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function checkPort (setting: string, port: number) {
  if (port === 0) return
  if (!await isFree(port)) {
    throw new StartError(`port ${port} is in use; ${setting}=0 npm start selects a free port`)
  }
  await reservePort(port)
}

async function choosePorts ({ PORT, MONITOR_PORT }: Config): Promise<System['ports']> {
  const [gateway, patient, audit, database, vault, monitor, ingestion] =
    await freePorts(7) as [number, number, number, number, number, number, number]
  const chosen = { gateway: PORT || gateway, monitor: MONITOR_PORT || monitor }
  return { ...chosen, patient, audit, database, vault, ingestion }
}

/** The connection strings that the user supplies. Throws if a server does not respond. */
async function checkDatabases (config: Config, databases: System['databases']) {
  const { MONGODB_URI, PATIENT_DB_CONNECTION, AUDIT_DB_CONNECTION } = config
  const connections = {
    patient: PATIENT_DB_CONNECTION ?? MONGODB_URI,
    audit: AUDIT_DB_CONNECTION ?? MONGODB_URI
  }
  await Promise.all((['patient', 'audit'] as const).map(async (service) => {
    const connection = connections[service]
    const setting = connection === MONGODB_URI ? 'MONGODB_URI' : `${service.toUpperCase()}_DB_CONNECTION`
    if (connection !== undefined) await ping(setting, connection, databases[service])
  }))
  return connections
}

/** What the vault is filled with. Each service has users of its own in the embedded database. */
function wanted (system: System, connections: Partial<Record<Service, string>>): Wanted {
  const { config, databases, ports } = system
  const databaseOf = (service: Service) => {
    const connection = connections[service]
    const database = databases[service]
    if (connection) return { database, connection }
    return { database, server: { address: `${HOST}:${ports.database}` } }
  }
  const { SUBSCRIPTION_KEY: subscriptionKey } = config
  return { subscriptionKey, patient: databaseOf('patient'), audit: databaseOf('audit') }
}

function databaseUrlOf ({ ports }: System) {
  return `mongodb://${HOST}:${ports.database}/`
}

/** Stores which processes run and where, for commands and tests. */
function saveRun (system: System, embedded: boolean) {
  if (stopped) return
  const { databases, monitored } = system
  const running = (name: Name, url = urlOf(system, name)) => ({ pid: children[name]?.pid, url })
  state!.saveRun({
    pid: process.pid,
    gateway: running('gateway'),
    patient: { ...running('patient'), database: databases.patient },
    audit: { ...running('audit'), database: databases.audit },
    vault: running('vault', vaultUrlOf(system)),
    keyRefreshSeconds: system.config.KEY_REFRESH_SECONDS,
    ...(monitored && { monitor: running('monitor') }),
    ...(embedded && { database: running('database', databaseUrlOf(system)) })
  })
}

/** The file of trusted authorities: the local one, and those in NODE_EXTRA_CA_CERTS. */
function authoritiesFile (certificates: string) {
  const { NODE_EXTRA_CA_CERTS } = process.env
  const own = `${certificates}/ca.pem`
  if (!NODE_EXTRA_CA_CERTS) return own
  const both = `${certificates}/trusted.pem`
  writeFileSync(both, `${readFileSync(own, 'utf8')}\n${readFileSync(NODE_EXTRA_CA_CERTS, 'utf8')}`)
  return both
}

/** Starts the process that fills the vault. Returns a function that sends it what to fill the vault with. */
function provisioner (env: NodeJS.ProcessEnv) {
  const module = fileURLToPath(new URL('./system/provisioner.ts', import.meta.url))
  const provision = fork(module, { env, execArgv: preloads })
  const ended = once(provision, 'exit')
  return async (wanted: Wanted) => {
    provision.send(wanted)
    const [answer] = await Promise.race([once(provision, 'message'), ended.then(() => [])]) as [Provisioned?]
    if (!answer) throw new StartError('the vault could not be filled')
    if ('problem' in answer) throw new StartError(answer.problem)
    return answer.subscriptionKey
  }
}

function passedOn () {
  const names = PASSED_ON.filter((name) => name in process.env)
  return Object.fromEntries(names.map((name) => [name, process.env[name]]))
}

/** The output of the processes: log lines are JSON, or formatted for people on a terminal. */
async function terminal (): Promise<Output> {
  const say = (line: string) => process.stdout.write(`${line}\n`)
  if (!process.stdout.isTTY) return { say }
  const { default: pretty } = await import('pino-pretty')
  return { say, logs: pretty({ colorize: true, singleLine: true, sync: true }) }
}

function welcome (baseUrl: string, key: string, monitorUrl?: string) {
  const header = quote(`Ocp-Apim-Subscription-Key: ${key}`)
  const patient = {
    firstName: 'Ada', lastName: 'Lovelace', gender: 'female', dateOfBirth: '1815-12-10', postCode: 'W1S4'
  }
  const criteria = { lastName: 'Lovelace' }
  process.stdout.write(`
Ready at ${baseUrl}
Subscription key: ${key}
The audit register: npm run register -- --follow
${monitorUrl ? `What happens inside: ${monitorUrl}\n` : ''}
Store a patient, then find it:
curl -i -w '\\n' ${baseUrl}/patient -H ${header} -d ${quote(JSON.stringify(patient))}
curl -i -w '\\n' ${baseUrl}/patient/search -H ${header} -d ${quote(JSON.stringify(criteria))}
`)
}

function quote (word: string) {
  return `'${word.replaceAll("'", "'\\''")}'`
}

/** Stops all processes, the gateway first, and exits. */
async function end (exitCode: number, patience = 0) {
  stopped ??= stop(patience)
  await stopped
  process.exit(exitCode)
}

/** @param patience ms that the processes have to exit by themselves */
async function stop (patience: number) {
  const began = Date.now()
  for (const child of Object.values(children)) child.retire()
  if (patience > 0) await Promise.all(Object.values(children).map((child) => child.ended(began + patience)))
  for (const name of NAMES) await children[name]?.stop(began + KILLED_AFTER_MS[name])
  state?.close()
}
