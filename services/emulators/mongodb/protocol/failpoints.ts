import type { Doc, Value } from '../bson/values.ts'
import { isDocument, toNumber } from '../bson/values.ts'
import { CommandError } from '../errors.ts'

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
  probability: number
  data: Doc
}

/**
 * The fail points that drivers test with: failCommand.
 * https://github.com/mongodb/mongo/wiki/The-%22failCommand%22-fail-point
 */
export class FailPoints {
  #failCommand: Armed | undefined
  #entered = 0

  /**
   * Sets or clears a fail point; returns how often it was entered. Throws FailPointSetFailed for an unknown
   * one.
   */
  configure (name: Value, mode: Value, data: Value): number {
    if (name !== 'failCommand') {
      throw new CommandError('FailPointSetFailed', `fail point ${String(name)} not found`)
    }
    this.#failCommand = mode === 'off' ? undefined : parse(mode, isDocument(data) ? data : {})
    return this.#entered
  }

  /** What the fail point does to this command, undefined for nothing. */
  enter (command: string, namespace: string, appName: string | undefined): Failure | undefined {
    const armed = this.#failCommand
    if (armed === undefined || command === 'configureFailPoint') return undefined
    if (!applies(armed.data, command, namespace, appName)) return undefined
    if (armed.skip > 0) {
      armed.skip--
      return undefined
    }
    if (armed.times <= 0 || Math.random() >= armed.probability) return undefined
    armed.times--
    this.#entered++
    return failureOf(armed.data, command)
  }
}

function parse (mode: Value, data: Doc): Armed {
  const armed: Armed = { skip: 0, times: Infinity, probability: 1, data }
  if (data.errorCode !== undefined && toNumber(data.errorCode) === undefined) {
    throw new CommandError('TypeMismatch', 'errorCode must be a number')
  }
  if (mode === 'alwaysOn') return armed
  if (!isDocument(mode)) throw new CommandError('BadValue', 'invalid mode')
  const [option = ''] = Object.keys(mode)
  const number = toNumber(mode[option])
  if (number === undefined || number < 0) throw new CommandError('BadValue', `unknown mode: ${option}`)
  switch (option) {
    case 'times': return { ...armed, times: number }
    case 'skip': return { ...armed, skip: number }
    case 'activationProbability': return { ...armed, probability: number }
    default: throw new CommandError('BadValue', `unknown mode: ${option}`)
  }
}

const greetings = ['hello', 'isMaster', 'ismaster']

function applies (data: Doc, command: string, namespace: string, appName: string | undefined): boolean {
  const names = Array.isArray(data.failCommands) ? data.failCommands : []
  const isNamed = names.includes(command) ||
    (greetings.includes(command) && names.some((name) => greetings.includes(String(name))))
  return isNamed && (data.appName ?? appName) === appName && (data.namespace ?? namespace) === namespace
}

function failureOf (data: Doc, command: string): Failure {
  const code = toNumber(data.errorCode)
  const errorLabels = Array.isArray(data.errorLabels) ? data.errorLabels : undefined
  const extra = { ...data.errorExtraInfo as Doc | undefined, ...(errorLabels && { errorLabels }) }
  return {
    blockTimeMS: data.blockConnection === true ? toNumber(data.blockTimeMS) ?? 0 : 0,
    closeConnection: data.closeConnection === true,
    error: code === undefined
      ? undefined
      : new CommandError(code, `Failing command via 'failCommand' failpoint: ${command}`, extra),
    writeConcernError: isDocument(data.writeConcernError) ? data.writeConcernError : undefined,
    errorLabels
  }
}
