import type { CommandFailedEvent, CommandStartedEvent, CommandSucceededEvent, MongoClient } from 'mongodb'
import { now, currentOperations, type Attributes, type Operation } from './operation.ts'

/** Those that work is made of; others keep a connection up, or log in. */
const TOLD = new Set(['find', 'getMore', 'insert', 'update', 'delete', 'findAndModify', 'aggregate'])

interface Begun {
  operations: readonly Operation[]
  name: string
  start: number
  attributes: Attributes
}

/** Notes the commands of a client, which has `monitorCommands`, by command and collection in the operations they serve. */
export function traceCommands (client: MongoClient) {
  const begun = new Map<number, Begun>()
  client.on('commandStarted', ({ requestId, commandName, databaseName, command }: CommandStartedEvent) => {
    const operations = currentOperations()
    if (operations.length === 0 || !TOLD.has(commandName)) return
    const collection = String(commandName === 'getMore' ? command.collection : command[commandName])
    begun.set(requestId, {
      operations,
      name: `${commandName} ${collection}`,
      start: now(),
      attributes: {
        'db.system.name': 'mongodb',
        'db.namespace': databaseName,
        'db.collection.name': collection,
        'db.operation.name': commandName,
        ...(operations.length > 1 ? { 'batch.size': operations.length } : undefined)
      }
    })
  })
  const ended = (requestId: number, errorType?: string) => {
    const command = begun.get(requestId)
    if (!command) return
    begun.delete(requestId)
    const { operations, name, start, attributes } = command
    if (errorType) attributes['error.type'] = errorType
    for (const operation of operations) operation.recordDependency(name, start, errorType !== undefined, attributes)
  }
  client.on('commandSucceeded', ({ requestId, reply }: CommandSucceededEvent) => ended(requestId, writeError(reply)))
  client.on('commandFailed', ({ requestId, failure }: CommandFailedEvent) => ended(requestId, errorType(failure)))
}

// A command whose writes the server refused has succeeded as such
function writeError (reply: unknown) {
  const { writeErrors } = reply as { writeErrors?: Array<{ code: number }> }
  return writeErrors?.length ? String(writeErrors[0]!.code) : undefined
}

function errorType (failure: Error) {
  const { code } = failure as { code?: string | number }
  return code === undefined ? failure.name : String(code)
}
