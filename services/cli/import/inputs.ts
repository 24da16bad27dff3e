import { createReadStream, readdirSync, realpathSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { StartError } from '../system/state.ts'
import { pieces, type Piece } from './pieces.ts'

export interface Input {
  name: string
  /** Undefined for stdin. */
  path?: string
  /** Unknown for stdin. */
  bytes: number | undefined
  open (): AsyncIterable<Buffer>
}

/**
 * The inputs that arguments name: files, folders with their *.ndjson and *.json files, and `-` for stdin.
 *
 * @throws {StartError} there is no such file, or no file in a folder
 */
export function findInputs (args: string[]): Input[] {
  return args.flatMap((arg) => {
    if (arg === '-') return { name: 'stdin', bytes: undefined, open: () => process.stdin }
    if (!stat(arg).isDirectory()) return fileInput(arg)
    const files = readdirSync(arg, { withFileTypes: true })
      .filter((file) => !file.isDirectory() && /\.(?:nd)?json$/i.test(file.name)).map(({ name }) => name).sort()
    if (files.length === 0) throw new StartError(`${arg} has no file *.ndjson or *.json`)
    return files.map((file) => fileInput(join(arg, file)))
  })
}

function fileInput (path: string): Input {
  const { size: bytes } = stat(path)
  return { name: basename(path), path: realpathSync(path), bytes, open: () => createReadStream(path) }
}

function stat (path: string) {
  try {
    return statSync(path)
  } catch (error) {
    throw new StartError(`${path} cannot be read (${(error as NodeJS.ErrnoException).code})`)
  }
}

/** The pieces of an input. Calls `onRead` with the bytes of each chunk. */
export function piecesOf (
  { name, open }: Input, onRead: (bytes: number) => void = () => {}
): AsyncGenerator<Piece> {
  async function * counted () {
    for await (const chunk of open()) {
      onRead(chunk.length)
      yield chunk
    }
  }
  return pieces(counted(), name)
}
