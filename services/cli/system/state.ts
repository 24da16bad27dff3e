import { hash, randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { lockFile, replaceFile, type Lock } from '#common/files.ts'
import { StartError } from '../../emulators/processes/start-error.ts'

export { StartError }

interface Running {
  pid: number | undefined
  url: string
}

interface RunningService extends Running {
  /** The name of its database. */
  database: string
}

/** The running system, as tests and commands see it. */
export interface Run {
  pid: number
  gateway: Running
  patient: RunningService
  /** With the settings that commands need. */
  audit: RunningService & { settings: Record<string, string> }
  witness: Running
  vault: Running
  /** The interval at which processes refresh their secrets. */
  keyRefreshSeconds: number
  /** Only with the embedded database. */
  database?: Running
  /** Only if it receives the telemetry. */
  monitor?: Running
  /** The auditor's page. */
  auditor?: Running
}

/** The directory of one system: its vault, its data and its running processes. */
export class State {
  readonly dir: string
  #lock: Lock

  /** @throws {StartError} the directory cannot be used, or another system runs from it */
  constructor (dir: string) {
    this.dir = dir
    try {
      mkdirSync(dir, { recursive: true, mode: 0o700 })
      chmodSync(dir, 0o700)
    } catch (error) {
      throw new StartError(`${dir} cannot be used (${(error as NodeJS.ErrnoException).code})`)
    }
    const lock = lockOf(this.path('lock'))
    if (!lock) throw new StartError(`another system is running from ${dir}`)
    this.#lock = lock
  }

  /**
   * Makes a new header for each identity. The vault issues tokens of an identity to callers with its header.
   *
   * The vault gets the digests only. The headers of `tools`, which other commands use, are stored in files.
   */
  identityHeaders<N extends string> (names: N[], tools: N[]) {
    const { headers, digests } = newHeaders(names)
    mkdirSync(this.path('identities'), { recursive: true, mode: 0o700 })
    for (const name of tools) write(identityFile(this.dir, name), headers[name])
    write(this.path('identities/digests.json'), digests)
    return headers
  }

  path (name: string) {
    return join(this.dir, name)
  }

  /** The previous run, if it did not stop properly. */
  previousRun (): Partial<Run> {
    try {
      return readRun(this.dir)
    } catch {
      return {}
    }
  }

  saveRun (run: Run) {
    write(this.path('run.json'), run)
  }

  close () {
    rmSync(this.path('run.json'), { force: true })
    this.#lock.close()
  }
}

/** A random header for each identity of the vault, and their SHA-256 digests. */
export function newHeaders<N extends string> (names: N[]) {
  const random = names.map((name) => [name, randomBytes(32).toString('base64url')])
  const headers = Object.fromEntries(random) as Record<N, string>
  const digests = Object.fromEntries(names.map((name) => [name, hash('sha256', headers[name])]))
  return { headers, digests }
}

/**
 * The system that runs from `dir`.
 *
 * @throws no system runs
 */
export function readRun (dir: string): Run {
  return JSON.parse(readFileSync(join(dir, 'run.json'), 'utf8'))
}

/** The path of the file with an identity's header. */
export function identityFile (dir: string, name: string) {
  return join(dir, 'identities', name)
}

function lockOf (file: string) {
  try {
    return lockFile(file)
  } catch {
    throw new StartError(`${file} is damaged; remove it`)
  }
}

function write (file: string, content: object | string) {
  replaceFile(file, typeof content === 'string' ? content : `${JSON.stringify(content, null, 2)}\n`)
}
