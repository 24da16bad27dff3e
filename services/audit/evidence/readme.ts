import type { Selection } from './selection.ts'

/** What was asked for, when. */
export interface Question {
  date: Date
  /** The path of the route, and the criteria that were sent with it. */
  path: string
  criteria: Record<string, string>
  /** Whether the pack is an accounting of disclosures. */
  isAccounting: boolean
}

/** What the pack has, what it proves, and how to check it without code of this project. */
export function readmeOf (question: Question, selection: Selection, origin: string) {
  return [
    headOf(question, selection),
    filesOf(question, selection),
    checkOf(origin),
    LIMITS,
    question.isAccounting ? ACCOUNTING : undefined,
    missingOf(selection)
  ].filter((part) => part !== undefined).join('\n\n') + '\n'
}

function headOf ({ date, path, criteria, isAccounting }: Question, { entries, heads }: Selection) {
  const title = isAccounting ? 'Accounting of disclosures (45 CFR 164.528)' : 'Evidence of the audit register'
  const sent = Object.entries(criteria).map(([name, value]) => `  ${name}: ${JSON.stringify(value)}`)
  const { witnessed, newest } = heads
  const size = (witnessed ?? newest)?._id
  return [
    title, '='.repeat(title.length), '',
    `Made:       ${date.toISOString()}`,
    `Asked:      GET ${path}`, ...sent,
    `Records:    ${entries.length}`,
    size === undefined
      ? 'Checkpoint: none yet'
      : `Checkpoint: ${size} entries, ${witnessed ? '' : 'not yet '}cosigned by a witness`
  ].join('\n')
}

function filesOf ({ isAccounting }: Question, { heads }: Selection) {
  const files = [
    ['records.ndjson', 'one record a line, the oldest first, as the API returns it'],
    ...(isAccounting ? [['accounting.csv', 'the disclosures: when, to whom, what and why']] : []),
    ['entries.csv', 'of each record, its index in the log, its salt and its commitment (hexadecimal)'],
    ['proofs/<id>.tlog-proof', 'that the log has the commitment (https://c2sp.org/tlog-proof)'],
    ...(heads.newest ? [['checkpoint', 'the signed root of the log (https://c2sp.org/tlog-checkpoint)']] : []),
    ['keys.txt', 'the public keys of the log: the first, then a note that hands over to each next one'],
    ['check-proof/', 'a program in Go that checks all of this with public libraries'],
    ['SHA256SUMS', 'the SHA-256 of all these files, in a note that the log signed']
  ]
  return ['Files', '-----', ...files.map(([name, text]) => `${name!.padEnd(24)}${text}`)].join('\n')
}

const checkOf = (origin: string) => `How to check it
---------------
1. Get the public key of the log (LOGKEY) and that of a witness (WITNESSKEY) from somebody you trust,
   not from this pack. If the log has changed its key since, follow keys.txt from the key that you know
   to the newest one: each note is signed with the key before.
2. No file was changed:

     sha256sum -c SHA256SUMS

   It warns of lines that are no checksums: the first one, ${origin}/evidence, and the signature.
3. The signature of SHA256SUMS and the proofs, with Go (https://go.dev), in the directory of this file:

     cd check-proof
     go run . "$LOGKEY" "$WITNESSKEY" ..

   main.go is short: read it first. By hand: SHA256SUMS is a signed note (https://c2sp.org/signed-note).
   The commitment of a record is SHA-256(salt || JSON), with the record in canonical JSON (RFC 8785). The
   leaf of the tree is SHA-256(0x00 || commitment). Its proof leads to the root in the checkpoint (RFC
   6962), which has to be signed by the log and cosigned by the witness.`

const LIMITS = `What it shows
-------------
Each record with a proof was in the log when the witness cosigned the checkpoint, and has not changed
since. That no other record meets the criteria is what the service states by signing SHA256SUMS.`

const ACCOUNTING = `About the accounting
--------------------
It has every disclosure in the register, also those for treatment, payment and health care operations,
which the law exempts: the column purpose has the code of HL7 v3. recipient is the system that received
the data, and onBehalfOf the person, as that system named them. A record that disclosed other patients
too is shortened: they are left out, and so is the salt. Its proof shows that the log has its commitment;
an auditor, who may see the whole record, can show that it belongs to it.`

/** The records that nothing proves yet, so that nobody takes them for proven. */
function missingOf ({ entries, heads: { witnessed } }: Selection) {
  const unsequenced = entries.filter(({ index }) => index === undefined)
  const unwitnessed = entries.filter(({ size }) => size !== undefined && size !== witnessed?._id)
  const parts = [
    listOf('Not sequenced yet',
      'No checkpoint has these records yet, so they have no proof. Ask again in a few seconds.', unsequenced),
    listOf('Not witnessed yet',
      'The log has signed a checkpoint with these records, but no witness has cosigned it yet.', unwitnessed)
  ].filter((part) => part !== undefined)
  return parts.length > 0 ? parts.join('\n\n') : undefined
}

function listOf (title: string, text: string, entries: Array<{ id: string }>) {
  if (entries.length === 0) return undefined
  return [title, '-'.repeat(title.length), text, ...entries.map(({ id }) => id)].join('\n')
}
