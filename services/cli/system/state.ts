import { hash, randomBytes } from 'node:crypto'
import { chmodSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { lockFile, replaceFile, type Lock } from '../../emulators/files.ts'

/** Why the system cannot start, in one line for whoever typed the command. */
export class StartError extends Error {
  override name = 'StartError'
}

interface Running {
  pid: number | undefined
  url: string
}

interface RunningService extends Running {
  /** The name of its database. */
  database: string
}

/** The running system, for tests and tools beside it. */
export interface Run {
  pid: number
  gateway: Running
  patient: RunningService
  audit: RunningService
  vault: Running
  /** How old what a process knows of a secret may grow. */
  keyRefreshSeconds: number
  /** Only where the embedded one runs. */
  database?: Running
  /** Only where what is told goes to it. */
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
   * A header for each identity of the vault, made anew for this run: who shows it gets the tokens of the identity.
   * Those of `tools`, commands typed beside the running system, are kept in files of their own; of all the vault
   * is told the digests.
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

  /** What the run before left behind when it ended without stopping. */
  leftovers (): Partial<Run> {
    try {
      return readRun(this.dir)
    } catch {
      return {}
    }
  }

  tell (run: Run) {
    write(join(this.dir, 'run.json'), run)
  }

  close () {
    rmSync(join(this.dir, 'run.json'), { force: true })
    this.#lock.close()
  }
}

/** A header at random for each identity of the vault, and the digests by which the vault knows them. */
export function newHeaders<N extends string> (names: N[]) {
  const headers = Object.fromEntries(names.map((name) => [name, randomBytes(32).toString('base64url')])) as Record<N, string>
  return { headers, digests: Object.fromEntries(names.map((name) => [name, hash('sha256', headers[name])])) }
}

/** What runs from `dir`. @throws where nothing does */
export function readRun (dir: string): Run {
  return JSON.parse(readFileSync(join(dir, 'run.json'), 'utf8'))
}

/** Where the header of a tool's identity lies. */
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
