import type { Doc, Value } from '../bson/values.ts'
import { isDocument, toNumber } from '../bson/values.ts'
import { CommandError, notSupported } from '../errors.ts'

/** What a fail point does to a command. */
export interface Failure {
  blockTimeMS: number
  closeConnection: boolean
  error: CommandError | undefined
  writeConcernError: Doc | undefined
  errorLabels: Value[] | undefined
}

interface Armed {
  skip: number
  times: number
  data: Doc
}

/**
 * The fail points that drivers test with: failCommand.
 * https://github.com/mongodb/mongo/wiki/The-%22failCommand%22-fail-point
 */
export class FailPoints {
  #failCommand: Armed | undefined
  #entered = 0

  /** Sets or clears a fail point; returns how often it was entered. Throws FailPointSetFailed. */
  configure (name: Value, mode: Value, data: Value): number {
    if (name !== 'failCommand') {
      throw new CommandError('FailPointSetFailed', `fail point ${String(name)} not found`)
    }
    this.#failCommand = mode === 'off' ? undefined : parse(mode, isDocument(data) ? data : {})
    return this.#entered
  }

  /**
   * What the fail point does to this command, undefined for nothing.
   *
   * @param namespace `<database>.<collection>` of a command on a collection
   */
  enter (command: string, appName: string | undefined, namespace: string): Failure | undefined {
    const armed = this.#failCommand
    if (armed === undefined || command === 'configureFailPoint') return undefined
    if (!applies(armed.data, command, appName) || (armed.data.namespace ?? namespace) !== namespace) {
      return undefined
    }
    if (armed.skip > 0) {
      armed.skip--
      return undefined
    }
    if (armed.times <= 0) return undefined
    armed.times--
    this.#entered++
    return failureOf(armed.data, command)
  }
}

const supportedData = new Set([
  'failCommands', 'appName', 'namespace', 'errorCode', 'errorLabels', 'blockConnection', 'blockTimeMS',
  'closeConnection', 'writeConcernError'
])

function parse (mode: Value, data: Doc): Armed {
  const other = Object.keys(data).find((name) => !supportedData.has(name))
  if (other !== undefined) throw notSupported(`${other} of a fail point`)
  const armed: Armed = { skip: 0, times: Infinity, data }
  if (data.errorCode !== undefined && toNumber(data.errorCode) === undefined) {
    throw new CommandError('TypeMismatch', 'errorCode must be a number')
  }
  if (mode === 'alwaysOn') return armed
  if (!isDocument(mode)) throw new CommandError('BadValue', 'invalid mode')
  const [option = ''] = Object.keys(mode)
  const number = toNumber(mode[option])
  if (option === 'activationProbability') throw notSupported(option)
  if (number === undefined || number < 0 || !['times', 'skip'].includes(option)) {
    throw new CommandError('BadValue', `unknown mode: ${option}`)
  }
  return { ...armed, [option]: number }
}

const greetings = ['hello', 'isMaster', 'ismaster']

function applies (data: Doc, command: string, appName: string | undefined): boolean {
  const names = Array.isArray(data.failCommands) ? data.failCommands : []
  const isNamed = names.includes(command) ||
    (greetings.includes(command) && names.some((name) => greetings.includes(String(name))))
  return isNamed && (data.appName ?? appName) === appName
}

function failureOf (data: Doc, command: string): Failure {
  const code = toNumber(data.errorCode)
  const message = `Failing command via 'failCommand' failpoint: ${command}`
  const errorLabels = Array.isArray(data.errorLabels) ? data.errorLabels : undefined
  return {
    blockTimeMS: data.blockConnection === true ? toNumber(data.blockTimeMS) ?? 0 : 0,
    closeConnection: data.closeConnection === true,
    error: code === undefined ? undefined : new CommandError(code, message, errorLabels && { errorLabels }),
    writeConcernError: isDocument(data.writeConcernError) ? data.writeConcernError : undefined,
    errorLabels
  }
}
