import { setTimeout as sleep } from 'node:timers/promises'
import { SettingsError } from '#common/config.ts'
import { Child, type Output } from './child.ts'
import { loadConfig, type Config } from './config.ts'
import { accepts, answers, freePorts, isFree, ping } from './probes.ts'
import { StartError, State, type Keys, type Run } from './state.ts'

const READY_MS = 30_000
const HOST = '127.0.0.1'
const PASSED_ON = ['PATH', 'HOME', 'TMPDIR', 'TMP', 'TEMP', 'LANG', 'LC_ALL', 'TZ', 'SystemRoot', 'NODE_EXTRA_CA_CERTS', 'NODE_COMPILE_CACHE']

/** How long after the signal each has ended, the first to be stopped first. */
const ENDED_BY_MS = { gateway: 2000, patient: 3000, audit: 3750, database: 4500 }
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
  await start(loadConfig(process.env))
} catch (error) {
  if (!stopped) {
    const expected = error instanceof StartError || error instanceof SettingsError
    process.stderr.write(`npm start: ${expected ? error.message : (error as Error).stack}\n`)
  }
  await end(1)
}

async function start (config: Config) {
  state = new State(config.LOCAL_DIR)
  const { LOG_LEVEL } = config
  const keys = state.keys()
  await leftoversGone(state.leftovers())
  if (config.PORT !== 0 && !await isFree(config.PORT)) throw new StartError(`port ${config.PORT} is in use; PORT=0 npm start takes a free one`)

  const uris = {
    PATIENT_DB_CONNECTION: config.PATIENT_DB_CONNECTION ?? config.MONGODB_URI,
    AUDIT_DB_CONNECTION: config.AUDIT_DB_CONNECTION ?? config.MONGODB_URI
  }
  const given = Object.entries(uris).filter(([, uri]) => uri !== undefined)
  await Promise.all(given.map(([name, uri]) => ping(uri === config.MONGODB_URI ? 'MONGODB_URI' : name, uri!)))

  const output = await terminal()
  const embedded = given.length < 2
  const [gatewayPort, patientPort, auditPort, databasePort] = await freePorts(config.PORT)
  const ports = { gateway: config.PORT || gatewayPort, patient: patientPort, audit: auditPort, database: databasePort }
  const url = (name: keyof typeof ports) => `http://${HOST}:${ports[name]}`
  const databaseUrl = `mongodb://${HOST}:${ports.database}/`
  const patientDb = { connection: uris.PATIENT_DB_CONNECTION ?? databaseUrl, database: `${config.DATABASE_PREFIX}patient` }
  const auditDb = { connection: uris.AUDIT_DB_CONNECTION ?? databaseUrl, database: `${config.DATABASE_PREFIX}audit` }

  const tell = () => {
    const run: Run = {
      pid: process.pid,
      gateway: { pid: children.gateway?.pid, url: url('gateway') },
      patient: { pid: children.patient?.pid, url: url('patient'), ...patientDb },
      audit: { pid: children.audit?.pid, url: url('audit'), ...auditDb }
    }
    if (embedded) run.database = { pid: children.database?.pid, url: databaseUrl }
    if (!stopped) state!.tell(run)
  }
  const child = (name: keyof typeof ports, module: string, settings: NodeJS.ProcessEnv) => {
    const env = { ...passedOn(), HOST, PORT: String(ports[name]), LOG_LEVEL, ...settings }
    const started = new Child(name, new URL(module, import.meta.url), env, output, tell)
    children[name] = started
    if (stopped) started.retire()
    else started.start()
    return started
  }
  const deadline = Date.now() + READY_MS

  if (embedded) {
    const database = child('database', './database/main.ts', { DATA_DIR: `${config.LOCAL_DIR}/database` })
    await database.ready(() => accepts(ports.database), deadline)
    await ping('the embedded database', databaseUrl)
  }

  const callers = { ALLOWED_CALLERS: '127.0.0.1/32,::1/128', CALLER_ADDRESS: 'peer' }
  const audit = child('audit', '../audit/main.ts', {
    ...callers,
    AUDIT_DB_CONNECTION: auditDb.connection,
    AUDIT_HOST_KEY: keys['audit-host-key'],
    DATABASE_NAME: auditDb.database
  })
  const patient = child('patient', '../patient/main.ts', {
    ...callers,
    PATIENT_DB_CONNECTION: patientDb.connection,
    PATIENT_HOST_KEY: keys['patient-host-key'],
    PATIENT_DATA_KEY: keys['patient-data-key'],
    AUDIT_URL: url('audit'),
    AUDIT_HOST_KEY: keys['audit-host-key'],
    DATABASE_NAME: patientDb.database
  })
  const subscriptionKey = config.SUBSCRIPTION_KEY ?? keys['gateway-subscription-keys'].client
  const gateway = child('gateway', './gateway/main.ts', {
    PATIENT_URL: url('patient'),
    PATIENT_HOST_KEY: keys['patient-host-key'],
    GATEWAY_SUBSCRIPTION_KEYS: subscriptions(subscriptionKey, keys),
    RATE_LIMIT: String(config.RATE_LIMIT)
  })
  await Promise.all([
    audit.ready(() => answers(`${url('audit')}/health/ready`), deadline),
    patient.ready(() => answers(`${url('patient')}/health/ready`), deadline),
    gateway.ready(() => answers(`${url('gateway')}/status-0123456789abcdef`), deadline)
  ])
  if (!stopped) welcome(url('gateway'), subscriptionKey)
}

function passedOn () {
  return Object.fromEntries(PASSED_ON.filter((name) => name in process.env).map((name) => [name, process.env[name]]))
}

function subscriptions (client: string, { 'gateway-subscription-keys': { reader } }: Keys) {
  return JSON.stringify({
    'local-client': { product: 'client', key: client },
    'local-reader': { product: 'reader', key: reader }
  })
}

/** Log lines stay JSON for a program and are made readable for a person. */
async function terminal (): Promise<Output> {
  const say = (line: string) => process.stdout.write(`${line}\n`)
  if (!process.stdout.isTTY) return { say }
  const { default: pretty } = await import('pino-pretty')
  return { say, logs: pretty({ colorize: true, singleLine: true, sync: true }) }
}

function welcome (baseUrl: string, key: string) {
  const header = quote(`Ocp-Apim-Subscription-Key: ${key}`)
  const patient = { firstName: 'Ada', lastName: 'Lovelace', gender: 'female', dateOfBirth: '1815-12-10', postCode: 'W1S4' }
  process.stdout.write(`
Ready at ${baseUrl}
Subscription key: ${key}
The audit register: npm run audit -- --follow

Store a patient, then find it:
curl -i -w '\\n' ${baseUrl}/patient -H ${header} -d ${quote(JSON.stringify(patient))}
curl -i -w '\\n' ${baseUrl}/patient/search -H ${header} -d ${quote(JSON.stringify({ lastName: 'Lovelace' }))}
`)
}

function quote (word: string) {
  return `'${word.replaceAll("'", "'\\''")}'`
}

/** A system that was killed takes its processes with it, but not before it. */
async function leftoversGone ({ gateway, patient, audit, database }: Partial<Run>) {
  const deadline = Date.now() + 2000
  const pids = [gateway, patient, audit, database].flatMap((running) => running?.pid ?? [])
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
  for (const name of ['gateway', 'patient', 'audit', 'database'] as const) {
    await children[name]?.stop(began + ENDED_BY_MS[name])
  }
  state?.close()
}
