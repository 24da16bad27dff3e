import { hash, randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { lockFile, replaceFile, type Lock } from '../../emulators/files.ts'
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

/** The running system, for tests and commands beside it. */
export interface Run {
  pid: number
  gateway: Running
  patient: RunningService
  audit: RunningService
  vault: Running
  /** The age at which a process reads a secret again. */
  keyRefreshSeconds: number
  /** Only with the embedded database. */
  database?: Running
  /** Only where it receives the telemetry. */
  monitor?: Running
}

/** The directory of one system on one machine: its vault, its data, and what runs from it. */
export class State {
  readonly dir: string
  #lock: Lock

  /** @throws {StartError} where the directory cannot be used, or another system runs from it */
  constructor (dir: string) {
    this.dir = dir
    try {
      mkdirSync(dir, { recursive: true, mode: 0o700 })
      chmodSync(dir, 0o700)
    } catch (error) {
      throw new StartError(`${dir} cannot be used (${(error as NodeJS.ErrnoException).code})`)
    }
    this.#lock = lock(join(dir, 'lock'), dir)
  }

  /**
   * Makes a new header for each identity of the vault, which returns the identity's tokens for it.
   *
   * The vault gets the digests alone. The headers of `tools`, for commands beside the system, are kept in files.
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

  /** The previous run, if it ended without stopping. */
  leftovers (): Partial<Run> {
    try {
      return readRun(this.dir)
    } catch {
      return {}
    }
  }

  saveRun (run: Run) {
    write(join(this.dir, 'run.json'), run)
  }

  close () {
    rmSync(join(this.dir, 'run.json'), { force: true })
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
 * @throws where none runs
 */
export function readRun (dir: string): Run {
  return JSON.parse(readFileSync(join(dir, 'run.json'), 'utf8'))
}

/** The file of the header of a command's identity. */
export function identityFile (dir: string, name: string) {
  return join(dir, 'identities', name)
}

function lock (file: string, dir: string) {
  let held: Lock | undefined
  try {
    held = lockFile(file)
  } catch {
    throw new StartError(`${file} is damaged; remove it`)
  }
  if (!held) throw new StartError(`another system is running from ${dir}`)
  return held
}

function write (file: string, content: object | string) {
  replaceFile(file, typeof content === 'string' ? content : `${JSON.stringify(content, null, 2)}\n`)
}
