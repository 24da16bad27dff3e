import type { CommandFailedEvent, CommandStartedEvent, CommandSucceededEvent, MongoClient } from 'mongodb'
import { now, currentOperations, type Attributes, type Operation } from './operation.ts'

/** The commands that read and write documents; the driver sends others to log in and to monitor servers. */
const TRACED = new Set(['find', 'getMore', 'insert', 'update', 'delete', 'findAndModify', 'aggregate'])

interface Started {
  operations: readonly Operation[]
  name: string
  start: number
  attributes: Attributes
}

/**
 * Records each command of a client, which has `monitorCommands` set, by its name and collection as a
 * dependency of the operations that share it.
 */
export function traceCommands (client: MongoClient) {
  const commands = new Map<number, Started>()
  client.on('commandStarted', ({ requestId, commandName, databaseName, command }: CommandStartedEvent) => {
    const operations = currentOperations()
    if (operations.length === 0 || !TRACED.has(commandName)) return
    const collection = String(commandName === 'getMore' ? command.collection : command[commandName])
    commands.set(requestId, {
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
  const record = (requestId: number, errorType?: string) => {
    const command = commands.get(requestId)
    if (!command) return
    commands.delete(requestId)
    const { operations, name, start, attributes } = command
    if (errorType) attributes['error.type'] = errorType
    const failed = errorType !== undefined
    for (const operation of operations) operation.recordDependency(name, start, failed, attributes)
  }
  client.on('commandSucceeded', ({ requestId, reply }: CommandSucceededEvent) => {
    record(requestId, writeError(reply))
  })
  client.on('commandFailed', ({ requestId, failure }: CommandFailedEvent) => {
    record(requestId, errorType(failure))
  })
}

// The driver reports a command as succeeded even where the server refused its writes
function writeError (reply: unknown) {
  const { writeErrors } = reply as { writeErrors?: Array<{ code: number }> }
  return writeErrors?.length ? String(writeErrors[0]!.code) : undefined
}

function errorType (failure: Error) {
  const { code } = failure as { code?: string | number }
  return code === undefined ? failure.name : String(code)
}
