import { createHash } from 'node:crypto'
import { Zip, ZipDeflate } from 'fflate'

const CHUNK_BYTES = 65_536
const END = new Uint8Array()
/** `S_IFREG | 0644`, where a Unix system has it. */
const UNIX = 3
const REGULAR_FILE = 0o100644 * 2 ** 16

/** A file of a pack; its content is made as it is sent. */
export interface PackFile {
  name: string
  content: string | Uint8Array | AsyncIterable<string | Uint8Array>
}

/** Compresses files one after the other. Memory does not depend on their sizes. */
export async function * zipOf (files: AsyncIterable<PackFile>, mtime: Date): AsyncGenerator<Buffer, void> {
  let chunks: Uint8Array[] = []
  let bytes = 0
  const zip = new Zip((error, chunk) => {
    if (error) throw error
    chunks.push(chunk)
    bytes += chunk.length
  })
  const take = () => {
    const taken = Buffer.concat(chunks)
    chunks = []
    bytes = 0
    return taken
  }
  for await (const { name, content } of files) {
    const file = Object.assign(new ZipDeflate(name), { mtime, os: UNIX, attrs: REGULAR_FILE })
    zip.add(file)
    for await (const part of partsOf(content)) {
      file.push(Buffer.from(part))
      if (bytes >= CHUNK_BYTES) yield take()
    }
    file.push(END, true)
    if (bytes >= CHUNK_BYTES) yield take()
  }
  zip.end()
  yield take()
}

/** Passes files on and adds the line of each to `sums`, as sha256sum writes it, once its content was read. */
export async function * summed (files: AsyncIterable<PackFile>, sums: string[]): AsyncGenerator<PackFile> {
  for await (const { name, content } of files) {
    yield { name, content: hashed(content, (digest) => sums.push(`${digest}  ${name}\n`)) }
  }
}

async function * hashed (content: PackFile['content'], done: (digest: string) => void) {
  const sum = createHash('sha256')
  for await (const part of partsOf(content)) {
    sum.update(part)
    yield part
  }
  done(sum.digest('hex'))
}

function partsOf (content: PackFile['content']) {
  return typeof content === 'string' || content instanceof Uint8Array ? [content] : content
}
