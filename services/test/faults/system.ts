import { execFile } from 'node:child_process'
import { createWriteStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { MongoClient } from 'mongodb'
import type { Database } from '#common/database.ts'
import { openKeyVault } from '#common/secrets/key-vault.ts'
import { endChain, tailAfter } from '../../audit/chain.ts'
import { LogStore } from '../../audit/log/store.ts'
import { loadConfig } from '../../cli/system/config.ts'
import { assume } from '../../cli/system/identity.ts'
import { prepare } from '../../cli/system/prepare.ts'
import {
  databaseUrlOf, identitySettings, processesOf, registerSettings, urlOf, vaultUrlOf, type Service, type System
} from '../../cli/system/processes.ts'
import { provision } from '../../cli/system/provision.ts'
import { State } from '../../cli/system/state.ts'
import { Child } from '../../emulators/processes/child.ts'
import { accepts, answers, freePorts } from '../../emulators/processes/probes.ts'
import { readSecrets } from '../../emulators/vault/store.ts'
import { Clock, faketime, removeTraces } from './clock.ts'
import { Disk } from './disk.ts'
import { Link } from './link.ts'
import { DISKS, LINKS, type DiskName, type LinkName, type ProcessName } from './schedule.ts'

const READY_MS = 120_000
const STOP_MS = 5_000
const REFRESH_SECONDS = 1
const GRACE_SECONDS = 15
const CLI = new URL('../../cli/', import.meta.url)
const INGRESS = new URL('./ingress.ts', import.meta.url)

/** How long parts wait for each other: less than in production, so that a fault does not hold all clients. */
const IMPATIENT = { WAIT_SECONDS: '4', REQUEST_SECONDS: '10', TIMEOUT_MS: '10000', PROBE_SECONDS: '0.5' }

const run = promisify(execFile)

type Definition = ReturnType<typeof processesOf>['vault']

/**
 * A whole system, as docker compose starts it, with three replicas of patient and two of audit behind an
 * ingress each, a database server for each service, and proxies between them.
 */
export class FaultySystem {
  readonly dir: string
  readonly children = new Map<string, Child>()
  readonly links = new Map<LinkName, Link>()
  readonly disks = new Map<DiskName, Disk>()
  readonly clocks = new Map<string, Clock>()
  /** What processes ended by themselves, as their parent reported it. */
  readonly ends: string[] = []
  subscriptionKey = ''
  #system!: System
  #state: State
  #databases: Record<Service, number> = { patient: 0, audit: 0 }
  #pids = new Set<number>()
  #clocked: readonly string[]
  #readyUrls: string[] = []
  #stopped: Promise<void> | undefined
  #checks = new Map<string, () => Promise<boolean>>()

  /** @param clocked the processes whose clock can be changed */
  constructor (dir: string, clocked: readonly string[]) {
    this.dir = dir
    this.#clocked = faketime ? clocked : []
    this.#state = new State(dir)
  }

  get baseUrl () { return urlOf(this.#system, 'gateway') }

  async start () {
    const config = loadConfig({
      PORT: '0', MONITOR: 'off', LOCAL_DIR: this.dir, KEY_REFRESH_SECONDS: String(REFRESH_SECONDS)
    })
    this.#system = await prepare(config, false, this.#state)
    const system = this.#system
    const [patientPort, auditPort] = await freePorts(2) as [number, number]
    this.#databases = { patient: patientPort, audit: auditPort }
    const addresses = await this.#openLinks()
    system.databases.patient.server!.address = addresses['patient to its database']
    system.databases.audit.server!.address = addresses['audit to its database']
    for (const name of DISKS) {
      const disk = Disk.mount(join(this.dir, name))
      if (disk) this.disks.set(name, disk)
    }

    const { vault, database } = processesOf(system)
    this.#launch('vault', vault, { PORT: String(system.ports.vault) })
    for (const service of ['patient', 'audit'] as const) this.#launchDatabase(service, database)
    await this.#ready('vault', 'patient database', 'audit database')
    await this.#provision()
    // The settings of the others have the public keys that are made by then
    const { witness, audit, patient, gateway } = processesOf(system)
    this.#launch('witness', witness, { PORT: String(system.ports.witness) })
    this.#launchReplicas('audit', audit, 2)
    patient.settings.AUDIT_URL = `http://${addresses['patient to audit']}`
    this.#launchReplicas('patient', patient, 3)
    gateway.settings.PATIENT_URL = `http://${addresses['gateway to patient']}`
    this.#launch('gateway', gateway, { PORT: String(system.ports.gateway) })
    await this.#ready(...this.children.keys())
    this.#saveRun()
  }

  /** The process ids of a process that runs. */
  pid (name: ProcessName) {
    return this.children.get(name)?.pid
  }

  /** An administrator's connection string to the database of a service, past the proxy. */
  connection (service: Service) {
    const connection = this.secrets().get(`${service}-db-admin-connection`)!
    return connection.replace(/@[^/]*/, `@127.0.0.1:${this.#databases[service]}`)
  }

  databaseName (service: Service) {
    return this.#system.databases[service].database
  }

  secrets () {
    return readSecrets(join(this.dir, 'vault'), join(this.dir, 'unseal-key'))
  }

  /** Rotates secrets, as `npm run rotate` does. Fulfilled with why it failed, if it did. */
  async rotate (secrets: string[]) {
    return await this.command('rotate.ts', secrets, { KEY_GRACE_SECONDS: String(GRACE_SECONDS) }, 20_000)
  }

  /** Runs a command on this system. Fulfilled with its output if it fails, else with nothing. */
  async command (file: string, args: string[], env: NodeJS.ProcessEnv, timeout: number) {
    // This process acts as the deployer
    const isOwn = (name: string) => /^(IDENTITY|AZURE|KEY_VAULT)_/.test(name)
    const inherited = Object.entries(process.env).filter(([name]) => !isOwn(name))
    const settings = { ...Object.fromEntries(inherited), LOCAL_DIR: this.dir, ...env }
    const options = { env: settings, timeout, maxBuffer: 2 ** 26 }
    try {
      await run(process.execPath, [fileURLToPath(new URL(file, CLI)), ...args], options)
    } catch (error) {
      const { stdout = '', stderr = '', code } = error as { stdout?: string, stderr?: string, code?: unknown }
      return `${file} ended with ${code}: ${stdout}${stderr}`
    }
  }

  /** Ends the chains of the register that have blocks, as a replica does with those that seem to be idle. */
  async endChains () {
    const client = await new MongoClient(this.connection('audit')).connect()
    try {
      const db = client.db(this.databaseName('audit'))
      const database = {
        run: (operation: () => unknown) => operation(),
        collection: (name: string) => db.collection(name)
      } as unknown as Database
      const store = new LogStore(database)
      for (const { _id } of await store.openChains()) {
        const last = await store.lastBlock(_id)
        if (last && !last.end) await endChain(database, tailAfter(last))
      }
    } finally {
      await client.close()
    }
  }

  /** Ends all faults. */
  heal () {
    for (const link of this.links.values()) link.heal()
    for (const disk of this.disks.values()) disk.free()
    for (const clock of this.clocks.values()) clock.set(0)
    for (const { pid } of this.children.values()) if (pid) process.kill(pid, 'SIGCONT')
  }

  /** Fulfilled when every replica is ready again; false if one is not in time. */
  async recovered (ms: number) {
    const deadline = Date.now() + ms
    while (!(await Promise.all(this.#readyUrls.map(answers))).every(Boolean)) {
      if (Date.now() > deadline) return false
      await sleep(100)
    }
    return true
  }

  /** May be called again while it stops. */
  stop () {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop () {
    this.heal()
    for (const child of this.children.values()) child.retire()
    await Promise.all([...this.children.values()].map((child) => child.stop(Date.now() + STOP_MS)))
    for (const link of this.links.values()) link.close()
    for (const disk of this.disks.values()) disk.unmount()
    for (const pid of this.#pids) removeTraces(pid)
    this.#state.close()
    await rm(this.dir, { recursive: true, force: true })
  }

  async #openLinks () {
    const { ports } = this.#system
    const targets: Record<LinkName, number> = {
      'gateway to patient': ports.patient,
      'patient to audit': ports.audit,
      'patient to its database': this.#databases.patient,
      'audit to its database': this.#databases.audit
    }
    const addresses = await Promise.all(LINKS.map(async (name) => {
      const link = new Link(`127.0.0.1:${targets[name]}`)
      this.links.set(name, link)
      return [name, await link.listen()]
    }))
    return Object.fromEntries(addresses) as Record<LinkName, string>
  }

  async #provision () {
    const system = this.#system
    const settings = identitySettings(system, 'deployer')
    await assume(settings, system.path('certificates/ca.pem'))
    const { AZURE_CLIENT_ID } = settings
    const vault = await openKeyVault({ KEY_VAULT_URI: vaultUrlOf(system), AZURE_CLIENT_ID })
    const { keys, publicKeys } = await provision(vault, system.databases)
    this.subscriptionKey = keys.client
    system.publicKeys = publicKeys
  }

  #launchDatabase (service: Service, { module, settings }: Definition) {
    const name = `${service} database`
    const port = this.#databases[service]
    const isReady = () => accepts(port)
    this.#launch(name, { module, settings, isReady }, { PORT: String(port), DATA_DIR: join(this.dir, name) })
  }

  /** Replicas at one port of addresses of their own, and the ingress before them. */
  #launchReplicas (service: Service, { module, settings }: Definition, count: number) {
    const port = this.#system.ports[service]
    const network = service === 'patient' ? 1 : 2
    const hosts = Array.from({ length: count }, (_, i) => `127.0.${network}.${i + 1}`)
    for (const [i, HOST] of hosts.entries()) {
      const url = `http://${HOST}:${port}/health/ready`
      this.#readyUrls.push(url)
      const definition = { module, settings, isReady: () => answers(url) }
      const own = { HOST, PORT: String(port), CALLER_ADDRESS: 'forwarded' }
      this.#launch(`${service} ${i + 1}`, definition, own)
    }
    const ingress = {
      module: INGRESS,
      settings: { APP_NAME: service, APP_ADDRESS: `${service}:${port}`, REPLICAS: hosts.join(',') },
      isReady: () => accepts(port)
    }
    this.#launch(`${service} ingress`, ingress, { PORT: String(port) })
  }

  #launch (name: string, { module, settings, isReady }: Definition, own: NodeJS.ProcessEnv) {
    const { PATH, HOME, TMPDIR } = process.env
    const common = { PATH, HOME, TMPDIR, HOST: '127.0.0.1', LOG_LEVEL: 'warn', DRAIN_SECONDS: '0' }
    const env = { ...common, ...IMPATIENT, ...settings, ...own, ...this.#clockOf(name)?.env }
    const logs = createWriteStream(join(this.dir, `${name}.log`), { flags: 'a' })
    const say = (line: string) => { if (!line.includes('SIGKILL')) this.ends.push(line) }
    const child = new Child(name, module, env, { logs, say }, () => { this.#pids.add(child.pid!) })
    this.children.set(name, child)
    child.start()
    this.#checks.set(name, isReady)
  }

  #clockOf (name: string) {
    if (!this.#clocked.includes(name)) return undefined
    const clock = new Clock(join(this.dir, `${name}.clock`))
    this.clocks.set(name, clock)
    return clock
  }

  async #ready (...names: string[]) {
    const deadline = Date.now() + READY_MS
    await Promise.all(names.map((name) => this.children.get(name)!.ready(this.#checks.get(name)!, deadline)))
  }

  /** Lets commands find the system. */
  #saveRun () {
    const system = this.#system
    const running = (name: string, url: string) => ({ pid: this.children.get(name)?.pid, url })
    const service = (name: Service) =>
      ({ ...running(`${name} ingress`, urlOf(system, name)), database: this.databaseName(name) })
    this.#state.saveRun({
      pid: process.pid,
      gateway: running('gateway', urlOf(system, 'gateway')),
      patient: service('patient'),
      audit: { ...service('audit'), settings: registerSettings(system) },
      vault: running('vault', vaultUrlOf(system)),
      witness: running('witness', urlOf(system, 'witness')),
      keyRefreshSeconds: REFRESH_SECONDS,
      database: running('audit database', databaseUrlOf(system))
    })
  }
}
