import type { Doc, Value } from '../bson/bson.ts'
import { isDocument, toNumber } from '../bson/bson.ts'
import type { Clock } from '../query/clock.ts'
import type { Cursors } from './cursors.ts'
import { CommandError } from '../errors.ts'
import type { FailPoints } from '../protocol/failpoints.ts'
import { typeName } from '../query/filter.ts'
import type { Conversation } from '../access/scram.ts'
import type { Collection, Storage } from '../storage/storage.ts'
import type { Login, Users } from '../access/users.ts'

/** What one connection is known by. */
export interface Client extends Login {
  connectionId: number
  appName: string | undefined
  /** Whether it comes from this machine. */
  local: boolean
  /** A login under way. */
  conversation: Conversation | undefined
}

/** A command with what it needs to run. */
export interface Command {
  name: string
  database: string
  body: Doc
  sequences: Map<string, Uint8Array[]>
  /** How long it may run, and when it has to let others run. */
  clock: Clock
  client: Client
  storage: Storage
  users: Users
  cursors: Cursors
  failPoints: FailPoints
}

/** A reply, encoded already where it carries stored documents. */
export type Reply = Doc | Uint8Array
export type Handler = (command: Command) => Reply | Promise<Reply>

export const wrongType = (command: string, field: string, value: Value, expected: string): CommandError =>
  new CommandError('TypeMismatch', `BSON field '${command}.${field}' is the wrong type '${typeName(value)}', expected type '${expected}'`)

/** A field that must be a document; the default if it is absent. */
export function documentField (command: Command, name: string, fallback: Doc = {}): Doc {
  const value = command.body[name]
  if (value === undefined || value === null) return fallback
  if (!isDocument(value)) throw wrongType(command.name, name, value, 'object')
  return value
}

export function arrayField (command: Command, name: string): Value[] {
  const value = command.body[name]
  if (value === undefined) throw missingField(command.name, name)
  if (!Array.isArray(value)) throw wrongType(command.name, name, value, 'array')
  return value
}

export const missingField = (command: string, field: string): CommandError => new CommandError(40414, `BSON field '${command}.${field}' is missing but a required field`)

/** A field that must be a whole number not below zero. */
export function countField (command: Command, name: string, value: Value = command.body[name]): number | undefined {
  if (value === undefined || value === null) return undefined
  const number = toNumber(value)
  if (number === undefined) throw wrongType(command.name, name, value, 'long')
  if (number < 0) throw new CommandError(51024, `BSON field '${name}' value must be >= 0, actual value '${number}'`)
  return Math.trunc(number)
}

/** The name in the command's first field. Throws InvalidNamespace for one that cannot be. */
export function collectionName (command: Command, value: Value = command.body[command.name]): string {
  if (typeof value !== 'string') throw new CommandError('InvalidNamespace', `collection name has invalid type ${typeName(value)}`)
  return checkNamespace(command.database, value)
}

export function checkNamespace (database: string, name: string): string {
  if (name === '' || name[0] === '.' || name.endsWith('.') || name.includes('\0') || name.includes('$')) throw new CommandError('InvalidNamespace', `Invalid namespace specified '${database}.${name}'`)
  if (Buffer.byteLength(database) + Buffer.byteLength(name) + 1 > 255) throw new CommandError('InvalidNamespace', `Fully qualified namespace is too long. Namespace: ${database}.${name} Max: 255`)
  return name
}

export function checkDatabase (name: Value): string {
  if (typeof name !== 'string') throw new CommandError(40571, 'OP_MSG requests require a $db argument')
  if (name === '' || /[/\\. "$*<>:|?\0]/.test(name) || Buffer.byteLength(name) > 63) throw new CommandError('InvalidNamespace', `Invalid database name: '${name}'`)
  return name
}

/** The id of a session, undefined for none. Throws TypeMismatch for what is no session. */
export function sessionId (command: string, lsid: Value): string | undefined {
  if (lsid === undefined || lsid === null) return undefined
  if (lsid.id?._bsontype !== 'Binary') throw wrongType(command, 'lsid.id', lsid.id, 'binData')
  return lsid.id.toString('hex')
}

export const sessionOf = (command: Command): string | undefined => sessionId(command.name, command.body.lsid)

/** The collection of a command, made if there is none. */
export function makeCollection (command: Command, name: string): Collection {
  if (name.startsWith('system.')) throw new CommandError('InvalidNamespace', `cannot write to '${command.database}.${name}'`)
  return command.storage.collection(command.database, name) ?? command.storage.create(command.database).createCollection(name)
}

/** Refuses what would change an answer if it were passed over. */
export function refuseCollation (collation: Value): void {
  if (isDocument(collation) && collation.locale !== undefined && collation.locale !== 'simple') throw new CommandError('CommandNotSupported', 'collation is not supported by this database')
}
