import { decodeInput, withId } from '../bson/encoding.ts'
import { isDocument, toNumber } from '../bson/values.ts'
import type { Doc, Value } from '../bson/values.ts'
import { CommandError } from '../errors.ts'
import { parseFilter } from '../query/filter.ts'
import type { Filter } from '../query/filter.ts'
import { searchOf } from '../query/finder.ts'
import { parseUpdate } from '../update/update.ts'
import { change, insert, removeAll } from './changes.ts'
import { collectionName, findCollection, missingField, wrongType } from './command.ts'
import type { Command, Handler } from './command.ts'
import { checkFields, deleteFields, updateFields } from './options.ts'
import { hintOf } from './read.ts'

const maxBatch = 100000

/** The statements of a command: encoded in a section of its message, or decoded in its body. */
function statementsOf ({ name, body, sequences }: Command, list: string): Value[] | Uint8Array[] {
  const found = sequences.get(list) ?? body[list]
  if (found === undefined) throw missingField(name, list)
  if (!Array.isArray(found)) throw wrongType(name, list, found, 'array')
  if (found.length > 0 && found.length <= maxBatch) return found
  throw new CommandError('InvalidLength',
    `Write batch sizes must be between 1 and ${maxBatch}. Got ${found.length} operations.`)
}

/** Runs the statements of a write command and returns their errors; an ordered one stops at the first. */
async function runStatements (
  command: Command, list: string, run: (statement: Doc, index: number) => void | Promise<void>
): Promise<{ writeErrors?: Doc[] }> {
  collectionName(command)
  const writeErrors: Doc[] = []
  for (const [index, given] of statementsOf(command, list).entries()) {
    if (command.clock.due) await command.clock.pause()
    try {
      const running = run(decodeStatement(command, list, given), index)
      if (running !== undefined) await running
    } catch (error) {
      if (!(error instanceof CommandError) || error.code === 50) throw error
      const { code, extra, message: errmsg } = error
      writeErrors.push({ index: index, code, ...extra, errmsg })
      if (command.body.ordered !== false) break
    }
  }
  return writeErrors.length > 0 ? { writeErrors } : {}
}

function decodeStatement ({ name }: Command, list: string, given: Value | Uint8Array): Doc {
  if (given instanceof Uint8Array) return decodeInput(given)
  if (!isDocument(given)) throw wrongType(name, list, given, 'object')
  return given
}

const insertAll: Handler = async (command) => {
  let n = 0
  const errors = await runStatements(command, 'documents', (doc) => {
    insert(command, withId(doc))
    n++
  })
  return { n, ...errors, ok: 1 }
}

function filterOf (command: string, q: Value): Filter {
  if (!isDocument(q)) throw missingField(command, 'q')
  return parseFilter(q)
}

const update: Handler = async (command) => {
  let n = 0
  let modified = 0
  const upserted: Doc[] = []
  const errors = await runStatements(command, 'updates', async (statement, index) => {
    checkFields('update.updates', statement, updateFields)
    const { q, u, hint } = statement
    const filter = filterOf('update.updates', q)
    if (u === undefined) throw missingField('update.updates', 'u')
    const multi = statement.multi === true
    const search = searchOf({ filter, limit: multi ? Infinity : 1, hint: hintOf(hint) })
    const changes = parseUpdate(u, multi)
    const outcome = await change(command, search, changes, statement.upsert === true)
    n += outcome.matched
    modified += outcome.modified
    if (outcome.upserted === undefined) return
    n++
    upserted.push({ index: index, _id: outcome.upserted })
  })
  return { n, nModified: modified, ...(upserted.length > 0 && { upserted }), ...errors, ok: 1 }
}

const remove: Handler = async (command) => {
  let n = 0
  const errors = await runStatements(command, 'deletes', async (statement) => {
    checkFields('delete.deletes', statement, deleteFields)
    const filter = filterOf('delete.deletes', statement.q)
    const limit = toNumber(statement.limit)
    if (limit === undefined) throw missingField('delete.deletes', 'limit')
    if (limit !== 0 && limit !== 1) {
      throw new CommandError('FailedToParse',
        `The limit field in delete objects must be 0 or 1. Got ${limit}`)
    }
    const collection = findCollection(command)
    if (collection === undefined) return
    const search = searchOf({ filter, limit: limit || Infinity, hint: hintOf(statement.hint) })
    n += await removeAll(collection, search, command.clock)
  })
  return { n, ...errors, ok: 1 }
}

export const writeCommands: Record<string, Handler> = { insert: insertAll, update, delete: remove }
