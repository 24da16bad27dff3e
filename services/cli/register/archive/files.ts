import { createReadStream } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Binary } from 'mongodb'
import type { Block } from '#common/transparency/documents.ts'

/**
 * The files of archived records: a line of JSON for the file, then one for each record.
 *
 * Blocks are whole and in the order of their entries, so that the links between blocks can be checked too.
 */

export const FORMAT = 'audited-patient-api/archive@v1'

export interface ArchiveHeader {
  format: typeof FORMAT
  /** The signed checkpoint that all proofs of the file lead to, with the cosignatures of its witnesses. */
  checkpoint: string
  /** The verifier keys of the log, each with the signed note of the key before. */
  keys: Array<{ vkey: string, note?: string }>
}

export interface ArchivedRecord {
  /** Of its entry in the log. */
  index: number
  /** The `_id` of its block. */
  block: string
  /** The hash of the block before, in base64; only of linked blocks. */
  previous?: string
  /** 16 bytes in base64; older records have none. */
  salt?: string
  /** As the API returns it. */
  record: { id: string, seq: number, createdDate: string }
  /** The hashes of the inclusion proof, in base64. */
  proof: string[]
}

export interface ArchivedBlock {
  _id: string
  chain: string
  firstSeq: number
  previous?: Buffer
  lines: ArchivedRecord[]
}

const NAME = /^register-(\d{16})-(\d{16})\.ndjson$/

/** The name of the file with the entries from `first` to `last`. */
export function fileName (first: number, last: number) {
  const [from, to] = [first, last].map((index) => String(index).padStart(16, '0'))
  return `register-${from}-${to}.ndjson`
}

/** The archive files in `dir`, by their first entries. */
export async function archiveFiles (dir: string) {
  const names = (await readdir(dir)).filter((name) => NAME.test(name)).sort()
  return names.map((name) => {
    const [, first, last] = NAME.exec(name)!.map(Number) as [number, number, number]
    return { name, path: join(dir, name), first, last }
  })
}

/** A file that is not in its format. */
export class ArchiveError extends Error {
  override name = 'ArchiveError'
}

/**
 * The header and then each block of the file at `path`.
 *
 * @throws {ArchiveError} names the line that is damaged
 */
export async function * readArchive (path: string): AsyncGenerator<ArchiveHeader | ArchivedBlock> {
  let number = 0
  let block: ArchivedBlock | undefined
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    number++
    const parsed = parseLine(line, number)
    if (number === 1) {
      yield parsed as ArchiveHeader
      continue
    }
    const record = parsed as ArchivedRecord
    if (block && block._id !== record.block) yield block
    if (block?._id !== record.block) block = startBlock(record)
    block.lines.push(record)
  }
  if (block) yield block
}

function parseLine (line: string, number: number) {
  try {
    const parsed = JSON.parse(line)
    const isValid = number === 1
      ? parsed.format === FORMAT
      : Number.isSafeInteger(parsed.index) && Number.isSafeInteger(parsed.record.seq) &&
        /^.+:\d+$/.test(parsed.block)
    if (isValid) return parsed
  } catch {
    // Reported below, without the line
  }
  throw new ArchiveError(`line ${number} is damaged`)
}

function startBlock ({ block, previous }: ArchivedRecord): ArchivedBlock {
  const colon = block.lastIndexOf(':')
  return {
    _id: block,
    chain: block.slice(0, colon),
    firstSeq: Number(block.slice(colon + 1)),
    ...previous && { previous: Buffer.from(previous, 'base64') },
    lines: []
  }
}

/** The block as it was stored, but for the dates of its records, which are strings. */
export function blockOf ({ _id, chain, firstSeq, previous, lines }: ArchivedBlock): Block {
  const binary = (base64: string) => new Binary(Buffer.from(base64, 'base64'))
  const records = lines.map(({ record, salt }) => ({ ...record, ...salt && { salt: binary(salt) } }))
  const block = { _id, chain, firstSeq, records, ...previous && { previous: new Binary(previous) } }
  return block as unknown as Block
}
