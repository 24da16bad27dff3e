import { hash } from 'node:crypto'
import { open, readFile, rename } from 'node:fs/promises'
import { parseCheckpoint } from '#common/transparency/checkpoints.ts'
import { blockHash, commitmentOf } from '#common/transparency/commitment.ts'
import type { Block, SaltedRecord } from '#common/transparency/documents.ts'
import { parseNote, parseVerifierKey, verifiedSignatures } from '#common/transparency/notes.ts'
import { inclusionProof, leafHash, rootOfInclusion, type GetNode } from '#common/transparency/tree.ts'
import { StartError } from '../../system/state.ts'
import type { Register } from '../verify/verify.ts'
import {
  blockOf, FORMAT, readArchive, type ArchivedBlock, type ArchivedRecord, type ArchiveHeader
} from './files.ts'
import type { Place } from './select.ts'

/** Writes the blocks at `places` to `<path>.part`, durably. */
export async function writePart (
  path: string, places: Place[], header: ArchiveHeader, register: Register, getNode: GetNode
) {
  const { size } = parseCheckpoint(parseNote(header.checkpoint).text)
  const file = await open(`${path}.part`, 'w', 0o600)
  try {
    await file.write(`${JSON.stringify(header)}\n`)
    for (const { _id, index } of places) {
      const block = await register.blocks.findOne({ _id })
      if (!block) throw new StartError(`block ${_id} was removed meanwhile`)
      for (const [i, record] of block.records.entries()) {
        const proof = await inclusionProof(index + i, size, getNode)
        await file.write(`${JSON.stringify(lineOf(block, record, index + i, proof))}\n`)
      }
    }
    await file.sync()
  } finally {
    await file.close()
  }
}

function lineOf (
  { _id, previous }: Block, { salt, ...record }: SaltedRecord, index: number, proof: Buffer[]
) {
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
  return {
    index,
    block: _id,
    ...previous && { previous: base64(previous.value()) },
    ...salt && { salt: base64(salt.value()) },
    record,
    proof: proof.map(base64)
  }
}

/** Gives the part its name, durably. */
export async function publishPart (dir: string, path: string) {
  await rename(`${path}.part`, path)
  const directory = await open(dir, 'r')
  await directory.sync()
  await directory.close()
}

export async function sha256Of (path: string) {
  return hash('sha256', await readFile(path))
}

/**
 * Reads a file back: every record must lead to the file's checkpoint, and every block must be the one that is
 * stored, as far as it still is.
 *
 * @returns the blocks, without their records
 * @throws {StartError} names the block that is not
 */
export async function checkFile (path: string, register: Register) {
  const blocks: Array<{ _id: string, chain: string }> = []
  let head: { size: number, root: Buffer } | undefined
  for await (const part of readArchive(path)) {
    if ('format' in part) {
      head = checkHeader(part)
      continue
    }
    const isProven = part.lines.every((line) => isIncluded(line, part, head!))
    const stored = await register.blocks.findOne({ _id: part._id })
    if (!isProven || (stored && !hashOf(blockOf(part)).equals(hashOf(stored)))) {
      throw new StartError(`block ${part._id} is not what the log commits to; run register:verify`)
    }
    blocks.push({ _id: part._id, chain: part.chain })
  }
  return blocks
}

function checkHeader ({ format, checkpoint, keys }: ArchiveHeader) {
  const note = parseNote(checkpoint)
  const known = keys.map(({ vkey }) => parseVerifierKey(vkey))
  if (format !== FORMAT || verifiedSignatures(note, known).length === 0) {
    throw new StartError('the checkpoint of an archive is not signed by the log')
  }
  return parseCheckpoint(note.text)
}

function isIncluded (
  line: ArchivedRecord, block: ArchivedBlock, { size, root }: { size: number, root: Buffer }
) {
  const [record] = blockOf({ ...block, lines: [line] }).records
  const hashes = line.proof.map((base64) => Buffer.from(base64, 'base64'))
  const own = rootOfInclusion(line.index, size, leafHash(commitmentOf(record!)), hashes)
  return own !== undefined && root.equals(own)
}

const hashOf = (block: Block) => blockHash(block, block.records.map(commitmentOf))
