import type { User, Users } from '../access/users.ts'
import type { Conversation } from '../access/scram.ts'
import { isDocument, toNumber, typeName } from '../bson/values.ts'
import type { Doc, Value } from '../bson/values.ts'
import { CommandError } from '../errors.ts'
import type { FailPoints } from '../protocol/failpoints.ts'
import type { Clock } from '../query/clock.ts'
import type { Collection } from '../storage/collection.ts'
import type { Storage } from '../storage/storage.ts'
import type { Cursors } from './cursors.ts'

/** A connection. */
export interface Client {
  connectionId: number
  /** The user that it logged in as; `Users.current` says whether it is still there. */
  user: User | undefined
  /** Until when its token is valid, in ms since the epoch; undefined for a login with a password. */
  loginExpires: number | undefined
  appName: string | undefined
  /** Whether it comes from this machine. */
  local: boolean
  /** A login under way. */
  conversation: Conversation | undefined
}

/** What all connections share. */
export interface Engine {
  storage: Storage
  users: Users
  cursors: Cursors
  failPoints: FailPoints
}

/** A command with what it needs to run. */
export interface Command extends Engine {
  name: string
  database: string
  body: Doc
  /** Its lists of documents, encoded. */
  sequences: Map<string, Uint8Array[]>
  clock: Clock
  client: Client
}

/** A reply, encoded already where it carries stored documents. */
export type Reply = Doc | Uint8Array
export type Handler = (command: Command) => Reply | Promise<Reply>

export function wrongType (command: string, field: string, value: Value, expected: string): CommandError {
  return new CommandError('TypeMismatch',
    `BSON field '${command}.${field}' is the wrong type '${typeName(value)}', expected type '${expected}'`)
}

export function missingField (command: string, field: string): CommandError {
  return new CommandError(40414, `BSON field '${command}.${field}' is missing but a required field`)
}

/** A field that must be a document; an empty one if it is absent. */
export function documentOption ({ name, body }: Command, field: string): Doc {
  const value = body[field] ?? {}
  if (!isDocument(value)) throw wrongType(name, field, value, 'object')
  return value
}

export function arrayOption ({ name, body }: Command, field: string): Value[] {
  const value = body[field]
  if (value === undefined) throw missingField(name, field)
  if (!Array.isArray(value)) throw wrongType(name, field, value, 'array')
  return value
}

/** A whole number that must not be negative; undefined if it is absent. */
export function countOption (
  { name, body }: Command, field: string, value = body[field]
): number | undefined {
  if (value === undefined || value === null) return undefined
  const number = toNumber(value)
  if (number === undefined) throw wrongType(name, field, value, 'long')
  if (number < 0) {
    throw new CommandError(51024, `BSON field '${field}' value must be >= 0, actual value '${number}'`)
  }
  return Math.trunc(number)
}

/** The collection's name in the command's first field. Throws InvalidNamespace for an impossible one. */
export function collectionName ({ name: command, database, body }: Command, name = body[command]): string {
  if (typeof name !== 'string') {
    throw new CommandError('InvalidNamespace', `collection name has invalid type ${typeName(name)}`)
  }
  if (name === '' || name[0] === '.' || name.endsWith('.') || /[\0$]/.test(name)) {
    throw new CommandError('InvalidNamespace', `Invalid namespace specified '${database}.${name}'`)
  }
  if (Buffer.byteLength(`${database}.${name}`) > 255) {
    throw new CommandError('InvalidNamespace',
      `Fully qualified namespace is too long. Namespace: ${database}.${name} Max: 255`)
  }
  return name
}

export function checkDatabase (name: Value): string {
  if (typeof name !== 'string') throw new CommandError(40571, 'OP_MSG requests require a $db argument')
  if (name === '' || /[/\\. "$*<>:|?\0]/.test(name) || Buffer.byteLength(name) > 63) {
    throw new CommandError('InvalidNamespace', `Invalid database name: '${name}'`)
  }
  return name
}

/** The collection of a command, undefined if there is none. */
export function findCollection (command: Command): Collection | undefined {
  return command.storage.collection(command.database, collectionName(command))
}

/** The collection of a command, made if there is none. */
export function makeCollection (command: Command): Collection {
  const { database, storage } = command
  const name = collectionName(command)
  if (name.startsWith('system.')) {
    throw new CommandError('InvalidNamespace', `cannot write to '${database}.${name}'`)
  }
  return storage.collection(database, name) ?? storage.create(database).createCollection(name)
}
