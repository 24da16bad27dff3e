import type { FastifyReply, FastifyRequest } from 'fastify'
import { linkNextPage, SealedCursors } from '#common/http/cursors.ts'
import type { SealingKeys } from '#common/secrets/sealing.ts'
import type { StoredRecord } from '#common/audit-record.ts'
import { invalidQuery, NotAcceptable } from '../errors.ts'
import { preferredType } from '../formats/accept.ts'
import { bundleOf } from '../formats/fhir.ts'
import { csv, ndjson, streamOf, toJson } from '../formats/lines.ts'
import { positionOf, type Direction, type Position, type RecordQuery } from '../queries/query.ts'
import type { Records } from '../queries/records.ts'

const JSON_TYPE = 'application/json'
const FHIR_TYPE = 'application/fhir+json'
const lineFormats = { 'application/x-ndjson': ndjson, 'text/csv': csv }
const LIST_TYPES = [JSON_TYPE, 'application/x-ndjson', 'text/csv', FHIR_TYPE] as const
export const ONE_TYPES = [JSON_TYPE, FHIR_TYPE] as const

const DEFAULT_LIMIT = 100

interface PageParameters {
  sort: 'createdDate' | '-createdDate'
  limit?: number
  cursor?: string
}

/** The answer to a question for many records. */
export interface Answer {
  query: RecordQuery
  /** The path of the route, with its parameters. */
  path: string
  parameters: PageParameters
  /** Shortens a record to what the question is about. */
  shorten?: (record: StoredRecord) => StoredRecord
  /** Makes events of a record about this patient only. */
  patientId?: string
}

/** @throws {NotAcceptable} */
export function typeOf<T extends string> ({ headers }: FastifyRequest, offered: readonly T[]): T {
  const type = preferredType(headers.accept, offered)
  if (!type) throw new NotAcceptable(offered.join(', '))
  return type
}

/** Answers with records, in the format that the client accepts. */
export class Answers {
  #records: Records
  #keys: SealingKeys

  constructor (records: Records, keys: SealingKeys) {
    this.#records = records
    this.#keys = keys
  }

  /**
   * Returns how to answer, once the question is recorded.
   *
   * @throws {InvalidRequest | InvalidCursor | NotAcceptable} before anything is recorded or read
   */
  async prepare (
    request: FastifyRequest, reply: FastifyReply, answer: Answer
  ): Promise<() => Promise<unknown>> {
    const type = typeOf(request, LIST_TYPES)
    const { limit, cursor, sort } = answer.parameters
    const direction = sort === 'createdDate' ? 1 : -1
    if (type === JSON_TYPE || type === FHIR_TYPE) {
      const cursors = this.#cursorsOf(request, answer)
      const after = await cursors.open(cursor)
      return () => this.#sendPage(reply, answer, type, direction, cursors, after)
    }
    const [excess] = Object.entries({ limit, cursor }).filter(([, value]) => value !== undefined)
    if (excess) throw invalidQuery(excess[0], `must not be sent for ${type}, which has all records`)
    return () => this.#sendStream(reply, answer, lineFormats[type], direction)
  }

  async #sendPage (
    reply: FastifyReply, answer: Answer, type: string, direction: Direction, cursors: SealedCursors<Position>,
    after?: Position
  ) {
    const { query, path, parameters, shorten = same, patientId } = answer
    const page = await this.#records.page(query, direction, parameters.limit ?? DEFAULT_LIMIT, after)
    if (page.more) linkNextPage(reply, path, parameters, cursors.seal(positionOf(page.records.at(-1)!)))
    const records = page.records.map((record) => toJson(shorten(record)))
    reply.type(type === FHIR_TYPE ? `${FHIR_TYPE}; charset=utf-8` : 'application/json; charset=utf-8')
    return reply.send(type === FHIR_TYPE ? bundleOf(records, patientId) : records)
  }

  async #sendStream (reply: FastifyReply, answer: Answer, format: typeof ndjson, direction: Direction) {
    const { query, shorten = same } = answer
    const stream = await streamOf(format, mapped(this.#records.stream(query, direction), shorten))
    return reply.type(format.type).send(stream)
  }

  /** A cursor is valid for one subscription, path and set of criteria. */
  #cursorsOf ({ headers }: FastifyRequest, { path, parameters }: Answer) {
    const { cursor, limit, ...criteria } = parameters
    return new SealedCursors<Position>(this.#keys, [headers['x-audit-actor'] ?? null, path, criteria])
  }
}

const same = (record: StoredRecord) => record

async function * mapped (
  records: AsyncGenerator<StoredRecord, void>, change: (record: StoredRecord) => StoredRecord
) {
  for await (const record of records) yield change(record)
}
