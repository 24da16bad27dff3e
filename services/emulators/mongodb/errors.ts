import type { Doc } from './bson/values.ts'

/** The server's error codes that this database answers. */
const codes = {
  InternalError: 1,
  BadValue: 2,
  FailedToParse: 9,
  UserNotFound: 11,
  Unauthorized: 13,
  TypeMismatch: 14,
  Overflow: 15,
  InvalidLength: 16,
  ProtocolError: 17,
  AuthenticationFailed: 18,
  IllegalOperation: 20,
  InvalidBSON: 22,
  NamespaceNotFound: 26,
  IndexNotFound: 27,
  PathNotViable: 28,
  RoleNotFound: 31,
  ConflictingUpdateOperators: 40,
  CursorNotFound: 43,
  MaxTimeMSExpired: 50,
  DollarPrefixedFieldName: 52,
  InvalidIdField: 53,
  NotSingleValueField: 54,
  NotExactValueField: 55,
  EmptyFieldName: 56,
  CommandNotFound: 59,
  ImmutableField: 66,
  CannotCreateIndex: 67,
  InvalidOptions: 72,
  InvalidNamespace: 73,
  IndexOptionsConflict: 85,
  IndexKeySpecsConflict: 86,
  FailPointSetFailed: 95,
  CommandNotSupported: 115,
  CannotIndexParallelArrays: 171,
  QueryPlanKilled: 175,
  InvalidIndexSpecificationOption: 197,
  QueryExceededMemoryLimitNoDiskUseAllowed: 292,
  MechanismUnavailable: 334,
  ReauthenticationRequired: 391,
  BSONObjectTooLarge: 10334,
  DuplicateKey: 11000,
  DatabaseDifferCase: 13297,
  OutOfDiskSpace: 14031
} as const

type CodeName = keyof typeof codes

const names = new Map<number, string>(Object.entries(codes).map(([name, code]) => [code, name]))

/** An error that a command answers, by the name or number of the server's error code. */
export class CommandError extends Error {
  code: number
  extra: Doc | undefined

  constructor (code: CodeName | number, message: string, extra?: Doc) {
    super(message)
    this.name = 'CommandError'
    this.code = typeof code === 'number' ? code : codes[code]
    this.extra = extra
  }

  /** The reply to a client. */
  reply (): Doc {
    const codeName = names.get(this.code) ?? `Location${this.code}`
    return { ok: 0, errmsg: this.message, code: this.code, codeName, ...this.extra }
  }
}

export const bad = (message: string): never => { throw new CommandError('BadValue', message) }

export function notSupported (what: string): CommandError {
  return new CommandError('CommandNotSupported', `${what} is not supported by this database`)
}

/** A message that does not follow the wire protocol: its connection is closed without a reply. */
export class ProtocolError extends Error {}
