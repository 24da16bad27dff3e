import { readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts, isFree, ping, reservePort } from '../../emulators/processes/probes.ts'
import { makeCertificates } from './certificates.ts'
import type { Config } from './config.ts'
import { identities, type Identity } from './identity.ts'
import { HOST, NAMES, type Service, type System } from './processes.ts'
import type { WantedDatabase } from './provision.ts'
import { StartError, type State } from './state.ts'

const PREVIOUS_RUN_MS = 2000
/** The identities of commands that use the running system. */
const TOOLS: Identity[] = ['viewer', 'rotation', 'audit']

/**
 * Chooses the ports of a system, and makes its certificates and the headers of its identities.
 *
 * @throws {StartError} a port is in use, or a database that the user supplies does not respond
 */
export async function prepare (config: Config, scaleToZero: boolean, state: State): Promise<System> {
  await endOfPreviousRun(state)
  const monitored = config.MONITOR === 'on' && config.APPLICATIONINSIGHTS_CONNECTION_STRING === undefined
  await checkPort('PORT', config.PORT)
  if (monitored) await checkPort('MONITOR_PORT', config.MONITOR_PORT)
  const ports = await choosePorts(config)
  const [patient, audit] = await Promise.all([
    databaseOf(config, 'patient', ports.database), databaseOf(config, 'audit', ports.database)
  ])
  const path = (name: string) => state.path(name)
  await makeCertificates(path('certificates'), ['vault', 'monitor'])
  return {
    config,
    scaleToZero,
    monitored,
    hasAuditorPage: config.AUDITOR_PAGE === 'on',
    databases: { patient, audit },
    embedded: [patient, audit].some(({ server }) => server),
    ports,
    headers: state.identityHeaders(identities, TOOLS),
    authorities: authoritiesFile(path('certificates/ca.pem'), path('certificates/trusted.pem')),
    path
  }
}

/** Waits for the processes of a killed run, which exit shortly after it. */
async function endOfPreviousRun (state: State) {
  const deadline = Date.now() + PREVIOUS_RUN_MS
  const previous = state.previousRun()
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

async function choosePorts ({ PORT, MONITOR_PORT }: Config) {
  const names = [...NAMES, 'ingestion'] as const
  const free = await freePorts(names.length)
  const ports = Object.fromEntries(names.map((name, i) => [name, free[i]])) as System['ports']
  return { ...ports, gateway: PORT || ports.gateway, monitor: MONITOR_PORT || ports.monitor }
}

/** The database of a service: the one that the user supplies, or else on the embedded server at `port`. */
async function databaseOf (config: Config, service: Service, port: number): Promise<WantedDatabase> {
  const database = `${config.DATABASE_PREFIX}${service}`
  const own = service === 'patient' ? 'PATIENT_DB_CONNECTION' : 'AUDIT_DB_CONNECTION'
  const setting = config[own] === undefined ? 'MONGODB_URI' : own
  const connection = config[setting]
  if (connection === undefined) return { database, server: { address: `${HOST}:${port}` } }
  await ping(setting, connection, database)
  return { database, connection }
}

/** The file of trusted authorities: `own` or, with those in NODE_EXTRA_CA_CERTS, `both`. */
function authoritiesFile (own: string, both: string) {
  const { NODE_EXTRA_CA_CERTS } = process.env
  if (!NODE_EXTRA_CA_CERTS) return own
  writeFileSync(both, `${readFileSync(own, 'utf8')}\n${readFileSync(NODE_EXTRA_CA_CERTS, 'utf8')}`)
  return both
}
