import { randomBytes } from 'node:crypto'
import { formatCheckpoint } from '#common/transparency/checkpoints.ts'
import { formatNote, signerOf, type Signer } from '#common/transparency/notes.ts'
import { consistencyProof, leafHash, rootOfRange, TreeBuilder } from '#common/transparency/tree.ts'

export const ORIGIN = 'example.org/register'

/** A log of `size` entries. `fork`: its entries differ from this index on from those of other logs. */
export function testLog (
  { size = 1_000, fork = Infinity, signer = signerOf(ORIGIN, randomBytes(32)), origin = ORIGIN } = {}
) {
  const nodes = new Map<string, Buffer>()
  const tree = new TreeBuilder()
  for (let i = 0; i < size; i++) {
    const leaf = leafHash(Buffer.from(`entry ${i}${i >= fork ? ' of another history' : ''}`))
    tree.append(leaf, (level, index, root) => nodes.set(`${level}/${index}`, root))
  }
  const getNode = async (level: number, index: number) => nodes.get(`${level}/${index}`)!
  const textOf = async (size: number) =>
    formatCheckpoint({ origin, size, root: await rootOfRange(0, size, getNode) })
  const proof = async (old: number, size: number) =>
    (await consistencyProof(old, size, getNode)).map((hash) => `${hash.toString('base64')}\n`)
  const note = async (size: number, signers: Signer[] = [signer]) => {
    const text = await textOf(size)
    return formatNote(text, signers.map((signer) => signer.sign(text)))
  }
  return {
    signer,
    textOf,
    /** The signed checkpoint of a size. */
    note,
    proof,
    /** The body that submits the checkpoint of `size` after that of `old`. */
    async submission (old: number, size: number, signers?: Signer[]) {
      return `old ${old}\n${(await proof(old, size)).join('')}\n${await note(size, signers)}`
    }
  }
}

/** The note with which `signer` hands over to `vkey`. */
export function succession (signer: Signer, vkey: string, origin = ORIGIN) {
  const text = `${origin}/keys\n${vkey}\n`
  return formatNote(text, [signer.sign(text)])
}
