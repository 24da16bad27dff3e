import { test } from 'tap'
import { formatCheckpoint, formatProof } from '#common/transparency/checkpoints.ts'
import {
  cosignerOf, formatNote, NoteError, parseVerifierKey, signerOf
} from '#common/transparency/notes.ts'
import { checkpointOf, keysOf, proofOf } from '../log.ts'

const ORIGIN = 'a-log'
const [first, second, stranger] = ['1', '2', '3'].map((letter) => signerOf(ORIGIN, Buffer.alloc(32, letter)))
const witness = cosignerOf('a-witness', Buffer.alloc(32, 'w'))
const ROOT = Buffer.alloc(32, 7)
const TEXT = formatCheckpoint({ origin: ORIGIN, size: 12, root: ROOT })
const SECONDS = Date.parse('2026-11-28T12:00:00Z') / 1_000

/** The text of `/log/keys`, whose second key `signer` hands over to. */
function keysSignedBy (signer: typeof first) {
  const text = `${ORIGIN}/keys\n${second!.vkey}\n`
  return `${first!.vkey}\n\n${formatNote(text, [signer!.sign(text)])}\n`
}

test('reads the keys, and whether a key before each has signed it', async (t) => {
  t.match(keysOf(`${first!.vkey}\n\n`), [{ vkey: first!.vkey, succession: 'first' }])
  t.match(keysOf(keysSignedBy(first)), [
    { vkey: first!.vkey, succession: 'first' }, { vkey: second!.vkey, succession: 'signed' }
  ])
  t.match(keysOf(keysSignedBy(stranger))[1], { vkey: second!.vkey, succession: 'unsigned' })
  t.match(keysOf(`${first!.vkey}\n\n${second!.vkey}\n\n`)[1], { succession: 'unsigned' })
  t.strictSame(keysOf(''), [])
})

test('says who signed a checkpoint, when, and whether that was checked', async (t) => {
  const note = formatNote(TEXT, [first!.sign(TEXT), witness.sign(TEXT, SECONDS)])
  const keys = [first!, witness].map(({ vkey }) => parseVerifierKey(vkey))
  t.match(checkpointOf(note, keys), {
    origin: ORIGIN,
    size: 12,
    root: ROOT.toString('base64'),
    signatures: [{ name: ORIGIN, state: 'valid' }],
    cosignatures: [{ name: 'a-witness', state: 'valid', time: SECONDS * 1_000 }]
  })
  const { cosignatures } = checkpointOf(note, keys.slice(0, 1))
  t.match(cosignatures, [{ state: 'unknown key', time: SECONDS * 1_000 }])
  const changed = note.replace('\n12\n', '\n13\n')
  t.throws(() => checkpointOf(changed, keys), NoteError)
})

test('reads a proof with its checkpoint', async (t) => {
  const checkpoint = formatNote(TEXT, [first!.sign(TEXT)])
  const proof = formatProof({ index: 3, hashes: [ROOT, ROOT], checkpoint })
  t.match(proofOf(proof, [parseVerifierKey(first!.vkey)]), {
    index: 3, hashes: { length: 2 }, checkpoint: { size: 12, signatures: [{ state: 'valid' }] }
  })
})
