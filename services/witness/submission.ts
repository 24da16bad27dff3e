import { parseCheckpoint, parseHash, parseSize, type Checkpoint } from '#common/transparency/checkpoints.ts'
import {
  NoteError, parseNote, parseVerifierKey, type Note, type VerifierKey
} from '#common/transparency/notes.ts'
import { InvalidSubmission } from './errors.ts'

/** The bodies of requests (https://c2sp.org/tlog-witness). */

const MAX_HASHES = 63

/** A checkpoint that a log submits, with the proof that it extends the tree of `oldSize` entries. */
export interface Submission {
  oldSize: number
  proof: Buffer[]
  note: Note
  checkpoint: Checkpoint
}

/** @throws {InvalidSubmission} */
export function parseSubmission (body: string): Submission {
  const end = body.indexOf('\n\n')
  const [first = '', ...hashes] = body.slice(0, Math.max(0, end)).split('\n')
  if (!first.startsWith('old ')) throw new InvalidSubmission('it must start with an old size and a proof')
  return valid(() => {
    if (hashes.length > MAX_HASHES) throw new NoteError('a proof must have at most 63 hashes')
    const note = parseNote(body.slice(end + 2))
    const checkpoint = parseCheckpoint(note.text)
    const oldSize = parseSize(first.slice('old '.length))
    if (oldSize > checkpoint.size) throw new NoteError('the old size is above that of the checkpoint')
    return { oldSize, proof: hashes.map(parseHash), note, checkpoint }
  })
}

/** A new key of a log, in a note that a key before it signs. */
interface Succession {
  origin: string
  key: VerifierKey
  note: Note
}

/**
 * Parses the note `<origin>/keys\n<vkey>\n`.
 *
 * @throws {InvalidSubmission}
 */
export function parseSuccession (body: string): Succession {
  return valid(() => {
    const note = parseNote(body)
    const [, origin, vkey] = /^(.+)\/keys\n(.+)\n$/.exec(note.text) ?? []
    if (!origin || !vkey) throw new NoteError('a key must be in a note <origin>/keys')
    const key = parseVerifierKey(vkey)
    if (key.isCosigner || key.name !== origin) throw new NoteError('the key must be one of the log')
    return { origin, key, note }
  })
}

function valid<T> (parse: () => T) {
  try {
    return parse()
  } catch (error) {
    if (error instanceof NoteError) throw new InvalidSubmission(error.message)
    throw error
  }
}
