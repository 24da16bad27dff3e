import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { MongoClient } from 'mongodb'
import { accepts } from '../emulators/processes/probes.ts'
import { readRun } from '../cli/system/state.ts'
import { readSecrets } from '../emulators/vault/store.ts'

export const START = fileURLToPath(import.meta.resolve('../cli/start.ts'))
export const ORPHAN = import.meta.resolve('../emulators/processes/orphan.ts')
const HOLD = import.meta.resolve('./hold.ts')
const STARTED = /^curl .*\/patient\/search .*$/m

export type Name = 'gateway' | 'patient' | 'audit' | 'witness' | 'database' | 'monitor' | 'vault' | 'auditor'

export interface Options {
  /** What is typed after "npm start --". */
  args?: string[]
  /** Settings of start.ts beside its defaults here: a free port, the directory, and databases of its own. */
  env?: NodeJS.ProcessEnv
  /** Keeps its data over several systems; without it the directory goes when the system stops. */
  localDir?: string
  /** Leaves its logs in files only, which takes less time from what is measured. */
  quiet?: boolean
}

export class StartFailure extends Error {
  override name = 'StartFailure'
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string

  constructor (code: number | null, stdout: string, stderr: string) {
    super(`npm start ended with ${code}: ${stderr}`)
    this.code = code
    this.stdout = stdout
    this.stderr = stderr
  }
}

type SecretName = 'patient-host-key' | 'audit-host-key' | 'audit-query-key' | 'patient-data-key' |
  'witness-key' | 'patient-db-connection' | 'audit-db-connection' | 'audit-db-viewer-connection'

export type System = Awaited<ReturnType<typeof startSystem>>

export function makeLocalDir () {
  return mkdtempSync(join(tmpdir(), 'local-'))
}

/**
 * Runs `npm start` as a newcomer would and waits until it has printed its curl lines.
 *
 * @throws {StartFailure} where it ends instead
 */
export async function startSystem ({ args = [], env = {}, localDir, quiet = false }: Options = {}) {
  const dir = localDir ?? makeLocalDir()
  const pages = { MONITOR: 'off', MONITOR_PORT: '0', AUDITOR_PAGE: 'off' }
  const defaults = { PORT: '0', ...pages, NODE_OPTIONS: '', LOCAL_DIR: dir }
  const settings: NodeJS.ProcessEnv = { ...process.env, ...defaults, DATABASE_PREFIX: prefixOf(dir), ...env }
  // It must not outlive the test that started it either
  const shown = quiet ? [] : ['--logs']
  const start = spawn(process.execPath, ['--import', ORPHAN, '--import', HOLD, START, ...shown, ...args], {
    env: settings,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc']
  })
  const ended = once(start, 'close')
  let stdout = ''
  let stderr = ''
  let logs = ''
  start.stdout!.setEncoding('utf8').on('data', (chunk) => {
    stdout += chunk
    logs += chunk
  })
  start.stderr!.setEncoding('utf8').on('data', (chunk) => {
    stderr += chunk
    logs += chunk
  })

  /** The newest value of each secret of the vault. */
  const secrets = () => readSecrets(join(dir, 'vault'), join(dir, 'unseal-key'))
  /** Tells hold.ts, which answers. */
  const send = (message: 'hold' | 'release') => {
    start.send(message)
    return once(start, 'message')
  }
  const hasEnded = () => start.exitCode !== null || start.signalCode !== null

  while (!STARTED.test(stdout)) {
    if (hasEnded()) {
      await ended
      if (!localDir) await removeLocalDir(dir)
      throw new StartFailure(start.exitCode, stdout, stderr)
    }
    await Promise.race([once(start.stdout!, 'data'), ended])
  }

  const firstRun = readRun(dir)
  const keys = Object.fromEntries(secrets())
  const subscriptions = JSON.parse(keys['gateway-subscription-keys']!)

  const system = {
    baseUrl: firstRun.gateway.url,
    subscriptionKey: subscriptions['local-client'].key as string,
    readerKey: subscriptions['local-reader'].key as string,
    auditorKey: subscriptions['local-auditor'].key as string,
    /** The public key that start.ts printed. */
    witnessKey: /^Public key of the witness: (.*)$/m.exec(stdout)![1]!,
    /** What the vault held at the start. */
    keys: keys as Record<SecretName, string>,
    secrets,
    localDir: dir,
    /** The process of start.ts. */
    process: start,

    /** Urls and pids of the moment, and ways to the databases on which everything is allowed. */
    get run () {
      const run = readRun(dir)
      const connectionOf = (service: 'patient' | 'audit') => {
        return keys[`${service}-db-${run.database ? 'admin-' : ''}connection`]!
      }
      return {
        ...run,
        patient: { ...run.patient, connection: connectionOf('patient') },
        audit: { ...run.audit, connection: connectionOf('audit') }
      }
    },

    /** The lines that start.ts printed for pasting. */
    get curlLines () {
      return stdout.match(/^curl .*$/gm) as string[]
    },

    /** All that came on stdout and stderr so far; unless it is quiet, with the logs of its processes. */
    logs: () => logs,

    /** What came on stdout so far. */
    stdout: () => stdout,

    /** The log lines of one operation, once each of `names` has written one: they gather lines first. */
    async linesOf (traceId: string, ...names: Name[]) {
      for (;;) {
        const found = logs.split('\n').filter((line) => line.includes(traceId))
        const lines = found.map((line) => JSON.parse(line))
        if (names.every((name) => lines.some((line) => line.name === name))) return lines
        await sleep(20)
      }
    },

    /** Sends `signal` to one process and returns which it was. */
    kill (name: Name, signal: NodeJS.Signals = 'SIGKILL') {
      const { pid } = system.run[name]!
      process.kill(pid!, signal)
      return pid!
    },

    /** Ends a process at once, without another that takes its place until `meanwhile` is over. */
    async without (name: Name, meanwhile: () => Promise<void>) {
      await send('hold')
      const pid = system.kill(name)
      try {
        await meanwhile()
      } finally {
        await send('release')
      }
      await system.restarted(name, pid)
    },

    /** Waits until `name` runs again as another process than `pid`, and all are ready. */
    async restarted (name: Name, pid: number) {
      while (!system.run[name]?.pid || system.run[name].pid === pid) await sleep(20)
      await system.ready()
    },

    /** Waits until every process is ready. */
    async ready () {
      const { gateway, patient, audit } = firstRun
      const paths = [`${patient.url}/health/ready`, `${audit.url}/health/ready`]
      const urls = [`${gateway.url}/status-0123456789abcdef`, ...paths]
      const sockets = [firstRun.vault, firstRun.database]
        .flatMap((running) => running ? Number(new URL(running.url).port) : [])
      const areReady = () => Promise.all([...urls.map(isOk), ...sockets.map(accepts)])
      while (!(await areReady()).every(Boolean)) await sleep(20)
    },

    /** Stops it, and returns how it ended and after how many ms. */
    async stop (signal: NodeJS.Signals = 'SIGTERM') {
      const began = Date.now()
      if (!hasEnded()) start.kill(signal)
      const [code, endedBy] = await ended as [number | null, NodeJS.Signals | null]
      const ms = Date.now() - began
      if (!localDir) await removeLocalDir(dir)
      return { code, signal: endedBy, ms }
    }
  }
  return system
}

async function isOk (url: string) {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(1000) })
    await response.body?.cancel()
    return response.ok
  } catch {
    return false
  }
}

const prefixes = new Map<string, string>()

/** One directory has one pair of databases, on a server that others use too. */
export function prefixOf (dir: string) {
  if (!process.env.MONGODB_URI) return ''
  const prefix = prefixes.get(dir) ?? `test-${randomBytes(6).toString('hex')}-`
  prefixes.set(dir, prefix)
  return prefix
}

/** Removes what the systems of `dir` kept, on the server of MONGODB_URI too. */
export async function removeLocalDir (dir: string) {
  rmSync(dir, { recursive: true, force: true })
  const prefix = prefixes.get(dir)
  if (prefix) await dropDatabases(prefix)
}

/** Drops both databases whose names begin with `prefix` from the server of MONGODB_URI. */
export async function dropDatabases (prefix: string) {
  const client = new MongoClient(process.env.MONGODB_URI!)
  for (const name of ['patient', 'audit']) await client.db(prefix + name).dropDatabase()
  await client.close()
}

/** Whether a process with this id is there. */
export function isAlive (pid: number) {
  try {
    const stat = existsSync('/proc') ? readFileSync(`/proc/${pid}/stat`, 'utf8') : ''
    // A zombie is gone for all but its parent
    return !/^\d+ \(.*\) Z/.test(stat) && process.kill(pid, 0)
  } catch {
    return false
  }
}
