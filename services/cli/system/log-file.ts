import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs'
import { Transform, Writable, type TransformCallback } from 'node:stream'

const FILE_BYTES = 4 * 2 ** 20
const OLD_FILES = 2

interface Bounds {
  /** The size at which a file is full. */
  bytes: number
  /** How many full files are kept. */
  oldFiles: number
}

/**
 * Appends lines to a file. One that is full becomes `<file>.1`, the one before it `<file>.2`, and the oldest
 * is removed. Lines that cannot be written, for instance on a full disk, are dropped.
 */
export class LogFile extends Writable {
  readonly #file: string
  readonly #bounds: Bounds
  readonly #onFailure: (code: string) => void
  #fd: number | undefined
  #size = 0
  #failed = false

  /** @param onFailure called with the code of the error when lines begin to be dropped */
  constructor (
    file: string, onFailure: (code: string) => void,
    bounds: Bounds = { bytes: FILE_BYTES, oldFiles: OLD_FILES }
  ) {
    super()
    this.#file = file
    this.#onFailure = onFailure
    this.#bounds = bounds
  }

  override _write (lines: Buffer, _encoding: BufferEncoding, done: () => void) {
    try {
      this.#append(lines)
      this.#failed = false
    } catch (error) {
      if (!this.#failed) this.#onFailure((error as NodeJS.ErrnoException).code ?? 'unknown')
      this.#failed = true
    }
    done()
  }

  override _destroy (error: Error | null, done: (error?: Error | null) => void) {
    this.#close()
    done(error)
  }

  #append (lines: Buffer) {
    if (this.#fd === undefined) this.#open()
    if (this.#size > 0 && this.#size + lines.length > this.#bounds.bytes) this.#rotate()
    this.#size += lines.length
    for (let written = 0; written < lines.length;) written += writeSync(this.#fd!, lines, written)
  }

  #open () {
    this.#fd = openSync(this.#file, 'a', 0o600)
    this.#size = fstatSync(this.#fd).size
  }

  #rotate () {
    this.#close()
    for (let i = this.#bounds.oldFiles; i > 0; i--) {
      rename(i === 1 ? this.#file : `${this.#file}.${i - 1}`, `${this.#file}.${i}`)
    }
    this.#open()
  }

  #close () {
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
  }
}

function rename (from: string, to: string) {
  try {
    renameSync(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

const LINE_FEED = 0x0a
const MAX_LINE = 2 ** 20

/** Passes whole lines on, so that those of several processes do not mix. */
export class WholeLines extends Transform {
  #rest: Buffer[] = []
  #restBytes = 0

  constructor () {
    super()
    // A process that was killed may leave half a line before the first one of its successor
    this.on('unpipe', () => { if (this.#restBytes > 0) this.write('\n') })
  }

  override _transform (chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback) {
    const end = chunk.lastIndexOf(LINE_FEED) + 1
    if (end > 0) this.#pass(chunk.subarray(0, end))
    if (end < chunk.length) this.#rest.push(chunk.subarray(end))
    this.#restBytes += chunk.length - end
    if (this.#restBytes > MAX_LINE) this.#pass(Buffer.alloc(0))
    done()
  }

  #pass (chunk: Buffer) {
    this.push(Buffer.concat([...this.#rest.splice(0), chunk]))
    this.#restBytes = 0
  }
}
