import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { parseArgs } from 'node:util'
import { SettingsError } from '#common/config.ts'
import { makeCertificates } from './system/certificates.ts'
import { Child, preloads, type Output } from '../emulators/processes/child.ts'
import { loadConfig, type Config } from './system/config.ts'
import { identities, settingsOf, type Identity } from './system/identity.ts'
import { accepts, answers, freePorts, isFree, ping, reservePort } from '../emulators/processes/probes.ts'
import type { Wanted } from './system/provision.ts'
import type { Provisioned } from './system/provisioner.ts'
import { StartError, State, type Run } from './system/state.ts'

const READY_MS = 60_000
const HOST = '127.0.0.1'
const PASSED_ON = ['PATH', 'HOME', 'TMPDIR', 'TMP', 'TEMP', 'LANG', 'LC_ALL', 'TZ', 'SystemRoot', 'NODE_COMPILE_CACHE', 'NODE_OPTIONS']

/** Whose commands are typed beside the running system. */
const TOOLS: Identity[] = ['viewer', 'rotation']

/** How long after the signal each has ended, the first to be stopped first. */
const ENDED_BY_MS = { gateway: 1500, patient: 2250, audit: 2750, database: 3250, monitor: 3500, vault: 3750 }
/** A terminal's Ctrl-C reaches every process: they end by themselves first. */
const CTRL_C_MS = 1000

const children: Partial<Record<keyof typeof ENDED_BY_MS, Child>> = {}
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

async function start (config: Config, scaled: boolean) {
  state = new State(config.LOCAL_DIR)
  const { LOG_LEVEL } = config
  await leftoversGone(state.leftovers())
  if (config.PORT !== 0 && !await isFree(config.PORT)) throw new StartError(`port ${config.PORT} is in use; PORT=0 npm start takes a free one`)
  const monitored = config.MONITOR === 'on' && config.APPLICATIONINSIGHTS_CONNECTION_STRING === undefined
  if (monitored && config.MONITOR_PORT !== 0 && !await isFree(config.MONITOR_PORT)) throw new StartError(`port ${config.MONITOR_PORT} is in use; MONITOR_PORT=0 npm start takes a free one`)

  const given = {
    PATIENT_DB_CONNECTION: config.PATIENT_DB_CONNECTION ?? config.MONGODB_URI,
    AUDIT_DB_CONNECTION: config.AUDIT_DB_CONNECTION ?? config.MONGODB_URI
  }
  const databases = { patient: `${config.DATABASE_PREFIX}patient`, audit: `${config.DATABASE_PREFIX}audit` }
  const uris = Object.entries(given).filter(([, uri]) => uri !== undefined)
  await Promise.all(uris.map(([name, uri]) =>
    ping(uri === config.MONGODB_URI ? 'MONGODB_URI' : name, uri!, databases[name === 'PATIENT_DB_CONNECTION' ? 'patient' : 'audit'])))

  const output = await terminal()
  const embedded = uris.length < 2
  await Promise.all([config.PORT, config.MONITOR_PORT].filter((port) => port !== 0).map(reservePort))
  const [gatewayPort, patientPort, auditPort, databasePort, vaultPort, monitorPort, ingestionPort] = await freePorts(7) as [number, number, number, number, number, number, number]
  const ports = { gateway: config.PORT || gatewayPort, patient: patientPort, audit: auditPort, database: databasePort, vault: vaultPort, monitor: config.MONITOR_PORT || monitorPort }
  const url = (name: keyof typeof ports) => `http://${HOST}:${ports[name]}`
  const databaseUrl = `mongodb://${HOST}:${ports.database}/`
  // Clients of a vault see to it that its name lies below that of what their tokens are for
  const vaultUrl = `https://local.vault.localhost:${ports.vault}`

  const tell = () => {
    const run: Run = {
      pid: process.pid,
      gateway: { pid: children.gateway?.pid, url: url('gateway') },
      patient: { pid: children.patient?.pid, url: url('patient'), database: databases.patient },
      audit: { pid: children.audit?.pid, url: url('audit'), database: databases.audit },
      vault: { pid: children.vault?.pid, url: vaultUrl },
      keyRefreshSeconds: config.KEY_REFRESH_SECONDS
    }
    if (monitored) run.monitor = { pid: children.monitor?.pid, url: url('monitor') }
    if (embedded) run.database = { pid: children.database?.pid, url: databaseUrl }
    if (!stopped) state!.tell(run)
  }
  const child = (name: keyof typeof ports, module: string, settings: NodeJS.ProcessEnv) => {
    const env = { ...passedOn(), HOST, PORT: String(ports[name]), LOG_LEVEL, DRAIN_SECONDS: '0', ...settings }
    const started = new Child(name, new URL(module, import.meta.url), env, output, tell)
    children[name] = started
    if (stopped) started.retire()
    else started.start()
    return started
  }
  const deadline = Date.now() + READY_MS

  const headers = state.identityHeaders(identities, TOOLS)
  const certificates = state.path('certificates')
  await makeCertificates(certificates, ['vault', 'monitor'])
  const as = (identity: Identity) => ({
    ...settingsOf(identity, vaultUrl, headers[identity]),
    NODE_EXTRA_CA_CERTS: trusted(certificates),
    KEY_REFRESH_SECONDS: String(config.KEY_REFRESH_SECONDS)
  })

  const vault = child('vault', '../emulators/vault/main.ts', {
    DATA_DIR: state.path('vault'),
    UNSEAL_KEY_FILE: state.path('unseal-key'),
    IDENTITIES_FILE: state.path('identities/digests.json'),
    TLS_CERT_FILE: `${certificates}/vault.pem`,
    TLS_KEY_FILE: `${certificates}/vault-key.pem`
  })
  const provision = provisioner({ ...passedOn(), ...as('deployer') })
  if (embedded) {
    const database = child('database', '../emulators/mongodb/main.ts', { DATA_DIR: state.path('database') })
    await database.ready(() => accepts(ports.database), deadline)
    await ping('the embedded database', databaseUrl)
  }
  await vault.ready(() => accepts(ports.vault), deadline)
  const databaseOf = (service: keyof typeof databases, connection?: string) => ({
    database: databases[service],
    ...(connection ? { connection } : { server: { address: `${HOST}:${ports.database}` } })
  })
  const subscriptionKey = await provision({
    subscriptionKey: config.SUBSCRIPTION_KEY,
    patient: databaseOf('patient', given.PATIENT_DB_CONNECTION),
    audit: databaseOf('audit', given.AUDIT_DB_CONNECTION)
  })

  const callers = { ALLOWED_CALLERS: '127.0.0.1/32,::1/128', CALLER_ADDRESS: scaled ? 'forwarded' : 'peer' }
  const monitor = monitored
    ? child('monitor', '../emulators/monitor/main.ts', {
      ...as('viewer'),
      TLS_CERT_FILE: `${certificates}/monitor.pem`,
      TLS_KEY_FILE: `${certificates}/monitor-key.pem`,
      INGESTION_PORT: String(ingestionPort),
      DATABASE_NAME: databases.audit
    })
    : undefined
  const telemetry = {
    APPLICATIONINSIGHTS_CONNECTION_STRING: monitored ? localIngestion(ingestionPort) : config.APPLICATIONINSIGHTS_CONNECTION_STRING,
    TELEMETRY_SAMPLING: String(config.TELEMETRY_SAMPLING)
  }
  const scale = { IDLE_SECONDS: String(config.IDLE_SECONDS), MAX_REPLICAS: String(config.MAX_REPLICAS), CONCURRENT_REQUESTS: String(config.CONCURRENT_REQUESTS) }
  const app = (name: 'patient' | 'audit', settings: NodeJS.ProcessEnv) => {
    const module = config.BUNDLE_DIR ? pathToFileURL(`${config.BUNDLE_DIR}/${name}/main.mjs`).href : new URL(`../${name}/main.ts`, import.meta.url).href
    const all = { ...as(name), ...telemetry, ...callers, ...settings, DATABASE_NAME: databases[name] }
    if (!scaled) return child(name, module, all)
    return child(name, '../emulators/ingress/main.ts', { ...all, ...scale, APP_NAME: name, APP_MODULE: fileURLToPath(module) })
  }
  const audit = app('audit', {})
  const patient = app('patient', { AUDIT_URL: url('audit') })
  // An ingress that is asked whether it answers would start the service
  const isUp = (name: 'patient' | 'audit') => scaled ? accepts(ports[name]) : answers(`${url(name)}/health/ready`)
  const gateway = child('gateway', '../emulators/gateway/main.ts', {
    ...as('gateway'),
    ...telemetry,
    PATIENT_URL: url('patient'),
    RATE_LIMIT: String(config.RATE_LIMIT),
    CORS_ORIGINS: config.CORS_ORIGINS
  })
  await Promise.all([
    monitor?.ready(() => accepts(ingestionPort), deadline),
    audit.ready(() => isUp('audit'), deadline),
    patient.ready(() => isUp('patient'), deadline),
    gateway.ready(() => answers(`${url('gateway')}/status-0123456789abcdef`), deadline)
  ])
  if (!stopped) welcome(url('gateway'), subscriptionKey, monitored ? url('monitor') : undefined)
}

/** Whether the services stand behind an ingress each, which starts and ends them. */
function scalesToZero () {
  try {
    const { values } = parseArgs({ options: { 'scale-to-zero': { type: 'boolean', default: false } } })
    return values['scale-to-zero']
  } catch (error) {
    throw new StartError((error as Error).message)
  }
}

/** Where the monitor takes what goes to Application Insights on Azure. */
function localIngestion (port: number) {
  return `InstrumentationKey=00000000-0000-0000-0000-000000000000;IngestionEndpoint=https://localhost:${port}/`
}

/** A file of the authorities that a process trusts beside those of Node: the local one, and what the user's own environment names. */
function trusted (certificates: string) {
  const { NODE_EXTRA_CA_CERTS } = process.env
  const own = `${certificates}/ca.pem`
  if (!NODE_EXTRA_CA_CERTS) return own
  const both = `${certificates}/trusted.pem`
  writeFileSync(both, `${readFileSync(own, 'utf8')}\n${readFileSync(NODE_EXTRA_CA_CERTS, 'utf8')}`)
  return both
}

/** Loads what fills the vault, and answers how to have it done. */
function provisioner (env: NodeJS.ProcessEnv) {
  const provision = fork(fileURLToPath(new URL('./system/provisioner.ts', import.meta.url)), { env, execArgv: preloads })
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
  return Object.fromEntries(PASSED_ON.filter((name) => name in process.env).map((name) => [name, process.env[name]]))
}

/** Log lines stay JSON for a program and are made readable for a person. */
async function terminal (): Promise<Output> {
  const say = (line: string) => process.stdout.write(`${line}\n`)
  if (!process.stdout.isTTY) return { say }
  const { default: pretty } = await import('pino-pretty')
  return { say, logs: pretty({ colorize: true, singleLine: true, sync: true }) }
}

function welcome (baseUrl: string, key: string, monitorUrl?: string) {
  const header = quote(`Ocp-Apim-Subscription-Key: ${key}`)
  const patient = { firstName: 'Ada', lastName: 'Lovelace', gender: 'female', dateOfBirth: '1815-12-10', postCode: 'W1S4' }
  process.stdout.write(`
Ready at ${baseUrl}
Subscription key: ${key}
The audit register: npm run register -- --follow
${monitorUrl ? `What happens inside: ${monitorUrl}\n` : ''}
Store a patient, then find it:
curl -i -w '\\n' ${baseUrl}/patient -H ${header} -d ${quote(JSON.stringify(patient))}
curl -i -w '\\n' ${baseUrl}/patient/search -H ${header} -d ${quote(JSON.stringify({ lastName: 'Lovelace' }))}
`)
}

function quote (word: string) {
  return `'${word.replaceAll("'", "'\\''")}'`
}

/** A system that was killed takes its processes with it, but not before it. */
async function leftoversGone ({ gateway, patient, audit, database, monitor, vault }: Partial<Run>) {
  const deadline = Date.now() + 2000
  const pids = [gateway, patient, audit, database, monitor, vault].flatMap((running) => running?.pid ?? [])
  while (pids.some(isAlive) && Date.now() < deadline) await sleep(20)
}

function isAlive (pid: number) {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Ends everything, the gateway first, and then this process. */
async function end (exitCode: number, patience = 0) {
  stopped ??= stop(patience)
  await stopped
  process.exit(exitCode)
}

async function stop (patience: number) {
  const began = Date.now()
  for (const child of Object.values(children)) child.retire()
  if (patience > 0) await Promise.all(Object.values(children).map((child) => child.gone(began + patience)))
  for (const name of ['gateway', 'patient', 'audit', 'database', 'monitor', 'vault'] as const) {
    await children[name]?.stop(began + ENDED_BY_MS[name])
  }
  state?.close()
}
