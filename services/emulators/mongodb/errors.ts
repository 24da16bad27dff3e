/** Further fields of the reply of an error. */
type Extra = Record<string, unknown>

const codes = {
  InternalError: 1,
  BadValue: 2,
  NoSuchKey: 4,
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
  LockBusy: 46,
  NamespaceExists: 48,
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
  DocumentValidationFailure: 121,
  ExceededMemoryLimit: 146,
  CannotIndexParallelArrays: 171,
  QueryPlanKilled: 175,
  InvalidIndexSpecificationOption: 197,
  QueryExceededMemoryLimitNoDiskUseAllowed: 292,
  APIVersionError: 322,
  MechanismUnavailable: 334,
  BSONObjectTooLarge: 10334,
  DuplicateKey: 11000,
  DatabaseDifferCase: 13297,
  OutOfDiskSpace: 14031,
  InterruptedAtShutdown: 11600
} as const

export type CodeName = keyof typeof codes

const names = new Map<number, string>(Object.entries(codes).map(([name, code]) => [code, name]))
const otherNames: Record<number, string> = {
  8: 'UnknownError',
  6: 'HostUnreachable',
  7: 'HostNotFound',
  64: 'WriteConcernTimeout',
  79: 'UnknownReplWriteConcern',
  89: 'NetworkTimeout',
  91: 'ShutdownInProgress',
  100: 'UnsatisfiableWriteConcern',
  112: 'WriteConflict',
  189: 'PrimarySteppedDown',
  251: 'NoSuchTransaction',
  262: 'ExceededTimeLimit',
  9001: 'SocketException',
  10107: 'NotWritablePrimary',
  11601: 'Interrupted',
  11602: 'InterruptedDueToReplStateChange',
  13435: 'NotPrimaryNoSecondaryOk',
  13436: 'NotPrimaryOrSecondary',
  16500: 'RequestRateTooLarge'
}

/** The name that a server reports beside an error code, `Location<code>` for one without a name. */
export function codeName (code: number): string {
  return names.get(code) ?? otherNames[code] ?? `Location${code}`
}

/** An error that a command answers to its client, by name or number from the server's list of error codes. */
export class CommandError extends Error {
  code: number
  extra: Extra | undefined

  constructor (code: CodeName | number, message: string, extra?: Extra) {
    super(message)
    this.name = 'CommandError'
    this.code = typeof code === 'number' ? code : codes[code]
    this.extra = extra
  }

  reply (): Extra {
    return { ok: 0, errmsg: this.message, code: this.code, codeName: codeName(this.code), ...this.extra }
  }
}

/** A message that is not the wire protocol: its connection is closed without an answer. */
export class ProtocolError extends Error {}

/** A reason not to start, told to the user in one line. */
export class StartError extends Error {}
