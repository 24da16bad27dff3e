import type { Collection } from 'mongodb'
import { ArchiveError, archiveFiles, blockOf, readArchive, type ArchivedBlock } from '../archive/files.ts'
import type { Archive } from '../archive/documents.ts'
import type { Block } from '#common/transparency/documents.ts'
import type { Findings } from './findings.ts'

const REFRESH_MS = 1_000

interface File {
  name: string
  path: string
  first: number
  last: number
  blocks?: ReturnType<typeof readArchive>
  current?: ArchivedBlock
}

/** Finds archived records, in the order of their entries. */
export class ArchiveReader {
  #archives: Collection<Archive>
  #dir: string | undefined
  #findings: Findings
  /** Files that have entries from here on. */
  #files: File[] = []
  #spans = new Map<string, Archive['spans']>()
  #known = new Map<string, Archive>()
  #refreshed = -Infinity

  constructor (archives: Collection<Archive>, dir: string | undefined, findings: Findings) {
    this.#archives = archives
    this.#dir = dir
    this.#findings = findings
  }

  /** Whether the files are at hand. */
  get isRead () { return this.#dir !== undefined }

  /** All archives that the database names. */
  get archives () {
    return [...this.#known.values()]
  }

  /** Reads again what is archived. */
  async refresh () {
    this.#refreshed = performance.now()
    const present = this.#dir ? await archiveFiles(this.#dir) : []
    for await (const archive of this.#archives.find()) {
      if (this.#known.has(archive._id)) continue
      this.#known.set(archive._id, archive)
      for (const span of archive.spans) {
        this.#spans.set(span.chain, [...this.#spans.get(span.chain) ?? [], span])
      }
      const file = present.find(({ name }) => name === archive.file)
      if (file) this.#files.push(file)
      else if (this.#dir) this.#findings.add('archive differs', `${archive.file} is not in the directory`)
    }
  }

  /** The archived block that has record `seq` of `chain`, whose entry is `index`. */
  async find (chain: string, seq: number, index: number): Promise<Block | undefined> {
    const block = await this.#findBlock(chain, seq, index)
    if (block || this.has(chain, seq) || performance.now() - this.#refreshed < REFRESH_MS) return block
    // It may have been archived since
    await this.refresh()
    return await this.#findBlock(chain, seq, index)
  }

  /** Whether the database says that record `seq` of `chain` is archived. */
  has (chain: string, seq: number) {
    return this.#spans.get(chain)?.some(({ from, to }) => from <= seq && seq <= to) === true
  }

  async #findBlock (chain: string, seq: number, index: number) {
    this.#files = this.#files.filter(({ last }) => last >= index)
    for (const file of this.#files.filter(({ first }) => first <= index)) {
      const block = await this.#advance(file, index)
      const line = block?.lines.find((one) => one.record.seq === seq)
      if (block && block.chain === chain && line) return blockOf(block)
    }
    return undefined
  }

  /** The first block of `file` that has an entry from `index` on. */
  async #advance (file: File, index: number) {
    file.blocks ??= readArchive(file.path)
    try {
      while (!file.current || file.current.lines.at(-1)!.index < index) {
        const { value, done } = await file.blocks.next()
        if (done) return undefined
        if ('lines' in value) file.current = value
      }
      return file.current
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      const reason = error instanceof ArchiveError ? error.message : `cannot be read (${code})`
      this.#findings.add('archive differs', `${file.name}: ${reason}`)
      this.#files = this.#files.filter((one) => one !== file)
      return undefined
    }
  }
}
