import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const MEBIBYTES = 128
const CHUNK = Buffer.alloc(2 ** 20)
const LAST_CHUNK = Buffer.alloc(512)

/** A file system of its own for a data directory, which can be full. */
export class Disk {
  #dir: string
  #ballast: string

  private constructor (dir: string) {
    this.#dir = dir
    this.#ballast = join(dir, 'ballast')
  }

  /** Mounts it on `dir`; undefined where this user may not. */
  static mount (dir: string) {
    mkdirSync(dir, { recursive: true, mode: 0o700 })
    try {
      const options = `size=${MEBIBYTES}m,mode=700`
      execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', dir], { stdio: 'ignore' })
      return new Disk(dir)
    } catch {
      return undefined
    }
  }

  fill () {
    const file = openSync(this.#ballast, 'w')
    try {
      for (const chunk of [CHUNK, LAST_CHUNK]) writeUntilFull(file, chunk)
    } finally {
      closeSync(file)
    }
  }

  free () {
    rmSync(this.#ballast, { force: true })
  }

  unmount () {
    execFileSync('umount', ['--lazy', this.#dir], { stdio: 'ignore' })
  }
}

function writeUntilFull (file: number, chunk: Buffer) {
  try {
    for (;;) writeSync(file, chunk)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
}
