import { formatProof } from '#common/transparency/checkpoints.ts'
import { formatNote } from '#common/transparency/notes.ts'
import { chunksOf, csvOf, ndjson } from '../formats/lines.ts'
import { checkpointNote } from '../log/checkpoint-store.ts'
import { formatKeys } from '../log/keys.ts'
import type { TransparencyLog } from '../log/log.ts'
import type { Records } from '../queries/records.ts'
import { accountingCsv } from './accounting.ts'
import { readmeOf, type Question } from './readme.ts'
import { shownRecords, type Entry, type Selection } from './selection.ts'
import { summed, zipOf, type PackFile } from './zip.ts'

export interface PackParts {
  records: Records
  log: TransparencyLog
  /** The name of the log. */
  origin: string
  /** The files of the program that checks a pack, by name. */
  checkProof: Map<string, Buffer>
}

/** By record, where the log has it; `index` is empty while no checkpoint has it. */
const entriesCsv = csvOf<Entry>({
  id: ({ id }) => id,
  index: ({ index }) => index,
  record: ({ isWhole }) => isWhole ? 'whole' : 'shortened',
  salt: ({ salt }) => salt,
  commitment: ({ commitment }) => commitment.toString('hex')
})

/** The text that the log signs: the SHA-256 of every other file. Its first line says that it is this. */
const sumsText = (origin: string, sums: string[]) => `${origin}/evidence\n${sums.join('')}`

/** A zip with the selected records and what proves them. It is made as it is read. */
export function packOf (parts: PackParts, selection: Selection, question: Question) {
  return zipOf(filesOf(parts, selection, question), question.date)
}

async function * filesOf (parts: PackParts, selection: Selection, question: Question) {
  const sums: string[] = []
  yield * summed(contentsOf(parts, selection, question), sums)
  const text = sumsText(parts.origin, sums)
  yield { name: 'SHA256SUMS', content: formatNote(text, await parts.log.keys.sign(text)) }
}

async function * contentsOf (
  { records, log, origin, checkProof }: PackParts, selection: Selection, question: Question
): AsyncGenerator<PackFile> {
  const { entries, heads: { newest, witnessed } } = selection
  yield { name: 'README.txt', content: readmeOf(question, selection, origin) }
  if (newest) yield { name: 'checkpoint', content: checkpointNote(witnessed ?? newest) }
  yield { name: 'keys.txt', content: formatKeys(await log.store.keys()) }
  for (const [name, content] of checkProof) yield { name: `check-proof/${name}`, content }
  yield { name: 'records.ndjson', content: chunksOf(ndjson, shownRecords(records, selection)) }
  if (question.isAccounting) {
    yield { name: 'accounting.csv', content: chunksOf(accountingCsv, shownRecords(records, selection)) }
  }
  yield { name: 'entries.csv', content: chunksOf(entriesCsv, entries) }
  yield * proofsOf(log, selection)
}

/** The proof of each record that is in the log, to the checkpoint that the selection found for it. */
async function * proofsOf (
  log: TransparencyLog, { entries, heads: { newest, witnessed } }: Selection
): AsyncGenerator<PackFile> {
  const heads = new Map([newest, witnessed].filter((one) => one !== undefined).map((one) => {
    return [one._id, { checkpoint: checkpointNote(one), prove: log.inclusionProofs(one._id) }]
  }))
  for (const { id, index, size } of entries) {
    if (index === undefined || size === undefined) continue
    const { checkpoint, prove } = heads.get(size)!
    const proof = formatProof({ index, hashes: await prove(index), checkpoint })
    yield { name: `proofs/${id}.tlog-proof`, content: proof }
  }
}
