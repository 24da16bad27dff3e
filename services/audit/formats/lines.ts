import { Readable } from 'node:stream'
import type { StoredRecord } from '#common/audit-record.ts'

const CHUNK_CHARACTERS = 16_384

/** What a spreadsheet takes for the start of a formula. */
const FORMULA = /^[=+\-@\t\r]/

type Cell<T> = (row: T) => string | number | boolean | undefined

const columns: Record<string, Cell<StoredRecord>> = {
  id: ({ id }) => id,
  createdDate: ({ createdDate }) => createdDate.toISOString(),
  operationId: ({ operationId }) => operationId,
  sourceSystemName: ({ sourceSystemName }) => sourceSystemName,
  actor: ({ actor }) => actor,
  onBehalfOf: ({ onBehalfOf }) => onBehalfOf,
  purpose: ({ purpose }) => purpose,
  reason: ({ reason }) => reason,
  clientAddress: ({ clientAddress }) => clientAddress,
  requestId: ({ requestId }) => requestId,
  type: ({ resource }) => resource.type,
  operation: ({ resource }) => resource.operation,
  resourceId: ({ resource }) => resource.id,
  patientId: ({ resource }) => resource.patientId,
  criteria: ({ criteria }) => criteria?.join(' '),
  disclosed: disclosedVersions,
  outcome: ({ outcome }) => outcome,
  attemptOf: ({ attemptOf }) => attemptOf,
  reconciled: ({ reconciled }) => reconciled,
  count: ({ count }) => count
}

/** A format with one line a record, which can be streamed. */
interface LineFormat<T = StoredRecord> {
  type: string
  header: string
  line (row: T): string
}

export const ndjson: LineFormat = {
  type: 'application/x-ndjson',
  header: '',
  line: (record) => `${JSON.stringify(toJson(record))}\n`
}

/** RFC 4180, with a row of names: a column for each cell. */
export function csvOf<T> (cells: Record<string, Cell<T>>): LineFormat<T> {
  return {
    type: 'text/csv; charset=utf-8; header=present',
    header: `${Object.keys(cells).join()}\r\n`,
    line: (row) => `${Object.values(cells).map((cell) => quoted(cell(row))).join()}\r\n`
  }
}

export const csv = csvOf(columns)

/** The record as the API returns it: without its salt. */
export function toJson (record: StoredRecord): Omit<StoredRecord, 'salt'> {
  const { salt, ...content } = record as StoredRecord & { salt?: unknown }
  return content
}

/** Each as `<id>/<version>`. */
export function disclosedVersions ({ disclosed }: StoredRecord) {
  return disclosed?.map(({ id, version }) => `${id}/${version}`).join(' ')
}

function quoted (value: string | number | boolean | undefined) {
  const text = String(value ?? '')
  if (FORMULA.test(text)) return `"'${text.replaceAll('"', '""')}"`
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/**
 * Streams records, which are read as fast as the client takes them.
 *
 * @throws what reading the first ones throws; a later failure destroys the stream
 */
export async function streamOf (format: LineFormat, records: AsyncGenerator<StoredRecord, void>) {
  const chunks = chunksOf(format, records)
  const first = await chunks.next()
  return Readable.from(resumed(first, chunks), { objectMode: false })
}

/** The lines of rows, some KiB at a time. */
export async function * chunksOf<T> (
  { header, line }: LineFormat<T>, rows: AsyncIterable<T> | Iterable<T>
): AsyncGenerator<string, void> {
  let chunk = header
  for await (const row of rows) {
    chunk += line(row)
    if (chunk.length < CHUNK_CHARACTERS) continue
    yield chunk
    chunk = ''
  }
  if (chunk) yield chunk
}

async function * resumed (first: IteratorResult<string, void>, rest: AsyncGenerator<string, void>) {
  if (!first.done) yield first.value
  yield * rest
}
