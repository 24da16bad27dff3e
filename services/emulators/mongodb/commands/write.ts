import { Int32 } from 'bson'
import { keyParts } from '../bson/document-keys.ts'
import {
  decode, documentField, elements, encode, encodeField, join, okField, withId
} from '../bson/encoding.ts'
import { integer, isDocument, toNumber } from '../bson/values.ts'
import type { Doc, Value } from '../bson/values.ts'
import { CommandError } from '../errors.ts'
import { parseFilter } from '../query/filter.ts'
import { searchOf } from '../query/finder.ts'
import { compileProjection } from '../query/projection.ts'
import { parseUpdate } from '../update/update.ts'
import { change, checkInserted, removeAll } from './changes.ts'
import { collectionName, documentOption, findCollection, makeCollection, missingField } from './command.ts'
import type { Command, Handler } from './command.ts'
import { checkFields, deleteFields, updateFields } from './options.ts'
import { checkSort, hintOf } from './read.ts'

const ok = new Int32(1)
const maxBatch = 100000

function encodedStatements ({ name, body, sequences }: Command, list: string): Uint8Array[] {
  const given = body[list]
  const found = sequences.get(list) ??
    (Array.isArray(given) ? given.map((item) => encode(item as Doc)) : undefined)
  if (found === undefined) throw missingField(name, list)
  if (found.length > 0 && found.length <= maxBatch) return found
  throw new CommandError('InvalidLength',
    `Write batch sizes must be between 1 and ${maxBatch}. Got ${found.length} operations.`)
}

/** Runs the statements of a write command and returns their errors; an ordered one stops at the first. */
async function runStatements (
  command: Command, list: string, run: (bytes: Uint8Array, index: number) => void | Promise<void>
): Promise<{ writeErrors?: Doc[] }> {
  const writeErrors: Doc[] = []
  for (const [index, bytes] of encodedStatements(command, list).entries()) {
    if (command.clock.due) await command.clock.pause()
    try {
      const running = run(bytes, index)
      if (running !== undefined) await running
    } catch (error) {
      if (!(error instanceof CommandError) || error.code === 50) throw error
      const { code, extra, message: errmsg } = error
      writeErrors.push({ index: new Int32(index), code, ...extra, errmsg })
      if (command.body.ordered !== false) break
    }
  }
  return writeErrors.length > 0 ? { writeErrors } : {}
}

/** Decodes a document of a client. Throws InvalidBSON. */
function decodeGiven (bytes: Uint8Array): Doc {
  try {
    return decode(bytes)
  } catch (error) {
    if (error instanceof CommandError) throw error
    throw new CommandError('InvalidBSON', (error as Error).message)
  }
}

const insert: Handler = async (command) => {
  collectionName(command)
  let n = 0
  const errors = await runStatements(command, 'documents', (bytes) => {
    const stored = withId(bytes, decodeGiven(bytes))
    checkInserted(stored)
    makeCollection(command).insert(stored.bytes, stored.doc)
    n++
  })
  return { n: integer(n), ...errors, ok }
}

/** The bytes of a field whose value is a document. */
function bytesOf (bytes: Uint8Array, name: string): Uint8Array | undefined {
  const field = elements(bytes).find((element) => element.name === name)
  return field?.type === 3 ? bytes.subarray(field.value, field.end) : undefined
}

function filterOf (command: string, q: Value): Doc {
  if (!isDocument(q)) throw missingField(command, 'q')
  return q
}

const update: Handler = async (command) => {
  collectionName(command)
  let n = 0
  let modified = 0
  const upserted: Doc[] = []
  const errors = await runStatements(command, 'updates', async (bytes, index) => {
    const statement = decodeGiven(bytes)
    checkFields('update.updates', statement, updateFields)
    const { q, u, hint } = statement
    const filter = parseFilter(filterOf('update.updates', q))
    if (u === undefined) throw missingField('update.updates', 'u')
    const multi = statement.multi === true
    const search = searchOf({ filter, limit: multi ? Infinity : 1, hint: hintOf(hint) })
    const changes = parseUpdate(u, bytesOf(bytes, 'u'), multi)
    const outcome = await change(command, search, changes, statement.upsert === true)
    n += outcome.matched
    modified += outcome.modified
    if (outcome.upserted === undefined) return
    n++
    upserted.push({ index: new Int32(index), _id: outcome.upserted })
  })
  return {
    n: integer(n),
    nModified: integer(modified),
    ...(upserted.length > 0 && { upserted }),
    ...errors,
    ok
  }
}

const remove: Handler = async (command) => {
  collectionName(command)
  let n = 0
  const errors = await runStatements(command, 'deletes', async (bytes) => {
    const statement = decodeGiven(bytes)
    checkFields('delete.deletes', statement, deleteFields)
    const filter = parseFilter(filterOf('delete.deletes', statement.q))
    const limit = toNumber(statement.limit)
    if (limit === undefined) throw missingField('delete.deletes', 'limit')
    if (limit !== 0 && limit !== 1) {
      throw new CommandError('FailedToParse',
        `The limit field in delete objects must be 0 or 1. Got ${limit}`)
    }
    const collection = findCollection(command)
    if (collection === undefined) return
    const search = searchOf({ filter, limit: limit || Infinity, hint: hintOf(statement.hint) })
    n += (await removeAll(collection, search, command.clock)).n
  })
  return { n: integer(n), ...errors, ok }
}

function checkFindAndModify ({ remove, update, upsert, new: after }: Doc): void {
  const refuse = (message: string): never => { throw new CommandError('FailedToParse', message) }
  if (remove !== true) {
    if (update === undefined) refuse('Either an update or remove=true must be specified')
    return
  }
  if (update !== undefined) refuse('Cannot specify both an update and remove=true')
  if (upsert === true) refuse('Cannot specify both upsert=true and remove=true')
  if (after === true) {
    refuse("Cannot specify both new=true and remove=true; 'remove' always returns the deleted document")
  }
}

const findAndModify: Handler = async (command) => {
  const { body } = command
  checkFindAndModify(body)
  const project = compileProjection(documentOption(command, 'fields'))
  const search = searchOf({
    filter: parseFilter(documentOption(command, 'query')),
    sort: keyParts(checkSort(documentOption(command, 'sort'))),
    limit: 1,
    hint: hintOf(body.hint)
  })
  const answer = (lastErrorObject: Doc, bytes: Uint8Array | undefined): Uint8Array => join([
    encodeField('lastErrorObject', lastErrorObject),
    bytes === undefined
      ? encodeField('value', null)
      : documentField('value', project === undefined ? bytes : encode(project(decode(bytes)))),
    okField
  ])
  if (body.remove === true) {
    const collection = findCollection(command)
    const found = collection === undefined ? undefined : await removeAll(collection, search, command.clock)
    return answer({ n: integer(found?.n ?? 0) }, found?.removed)
  }
  const { matched, upserted, before, after } =
    await change(command, search, parseUpdate(body.update, undefined, false), body.upsert === true)
  return answer({
    n: integer(matched > 0 || upserted !== undefined ? 1 : 0),
    updatedExisting: matched > 0,
    ...(upserted !== undefined && { upserted })
  }, body.new === true ? after : before)
}

export const writeCommands: Record<string, Handler> = { insert, update, delete: remove, findAndModify }
