import type { CommandFailedEvent, CommandStartedEvent, CommandSucceededEvent, MongoClient } from 'mongodb'
import { now, currentOperations, type Attributes, type Operation } from './operation.ts'

/** The commands that read and write documents; the driver sends others to log in and to monitor servers. */
const TRACED = new Set(['find', 'getMore', 'insert', 'update', 'delete', 'findAndModify', 'aggregate'])

/**
 * Records each command of a client, which has `monitorCommands` set, by its name and collection as a
 * dependency of the operations that share it.
 */
export function traceCommands (client: MongoClient) {
  const commands = new Map<number, (errorType?: string) => void>()
  const end = (requestId: number, errorType?: string) => {
    commands.get(requestId)?.(errorType)
    commands.delete(requestId)
  }
  client.on('commandStarted', (command: CommandStartedEvent) => {
    const operations = currentOperations()
    if (operations.length === 0 || !TRACED.has(command.commandName)) return
    commands.set(command.requestId, begin(command, operations))
  })
  client.on('commandSucceeded', ({ requestId, reply }: CommandSucceededEvent) => {
    end(requestId, writeError(reply))
  })
  client.on('commandFailed', ({ requestId, failure }: CommandFailedEvent) => {
    end(requestId, errorType(failure))
  })
}

/** Returns a function that records the command, which has begun now, as ended. */
function begin (started: CommandStartedEvent, operations: readonly Operation[]) {
  const { commandName, databaseName, command } = started
  const start = now()
  const collection = String(commandName === 'getMore' ? command.collection : command[commandName])
  const attributes: Attributes = {
    'db.system.name': 'mongodb',
    'db.namespace': databaseName,
    'db.collection.name': collection,
    'db.operation.name': commandName,
    'batch.size': operations.length > 1 ? operations.length : undefined
  }
  return (errorType?: string) => {
    attributes['error.type'] = errorType
    const name = `${commandName} ${collection}`
    for (const operation of operations) operation.recordDependency(name, start, !!errorType, attributes)
  }
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
