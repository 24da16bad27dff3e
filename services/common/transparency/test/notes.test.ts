import { test } from 'tap'
import {
  cosignerOf, formatNote, NoteError, parseNote, parseVerifierKey, signerOf, verifiedSignatures
} from '../notes.ts'

const TEXT = 'example.org/register\n1\nn4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=\n'
const SEED = Buffer.alloc(32, 7)

test('the example of the specification is verified', async (t) => {
  const key = parseVerifierKey('example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k')
  const signature =
    'Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM='
  const note = parseNote(`This is an example message.\n\n— example.com/foo ${signature}\n`)
  t.equal(verifiedSignatures(note, [key]).length, 1)
  t.throws(() => verifiedSignatures({ ...note, text: 'This is another message.\n' }, [key]), NoteError)
})

test('signatures and cosignatures are verified by their keys and ignored without them', async (t) => {
  const signer = signerOf('example.org/register', SEED)
  const witness = cosignerOf('example.org/witness', SEED)
  const note = parseNote(formatNote(TEXT, [signer.sign(TEXT), witness.sign(TEXT, 1_700_000_000)]))
  const [log, cosigner] = [signer.vkey, witness.vkey].map(parseVerifierKey)
  t.equal(log!.isCosigner, false)
  t.equal(cosigner!.isCosigner, true)
  t.same(verifiedSignatures(note, []), [])
  const [signed, cosigned] = verifiedSignatures(note, [log!, cosigner!])
  t.equal(signed!.key.vkey, signer.vkey)
  t.equal(cosigned!.seconds, 1_700_000_000)
  const forged = { ...note, text: TEXT.replace('1', '2') }
  const message = 'the signature of example.org/register is invalid'
  t.throws(() => verifiedSignatures(forged, [log!]), { message })
  t.throws(() => verifiedSignatures(forged, [cosigner!]), NoteError)
})

test('keys and notes of another form are refused', async (t) => {
  const wrongId = 'example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k'
  for (const key of ['', 'a', 'a+b+c', wrongId]) {
    t.throws(() => parseVerifierKey(key), NoteError, key)
  }
  for (const note of ['', 'text\n', 'text\n\n', 'text\n\n— a', 'text\n\n— a b\n', 'text\n\n- a MTIzNDU=\n']) {
    t.throws(() => parseNote(note), NoteError)
  }
  t.throws(() => signerOf('a b', SEED), NoteError)
  t.throws(() => signerOf('a', Buffer.alloc(31)), NoteError)
})
