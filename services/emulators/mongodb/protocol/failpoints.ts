import type { Doc, Value } from '../bson/bson.ts'
import { isDocument, toNumber } from '../bson/bson.ts'
import { CommandError } from '../errors.ts'

/** What a fail point does to a command. */
export interface Failure {
  blockTimeMS: number
  closeConnection: boolean
  error: CommandError | undefined
  writeConcernError: Doc | undefined
  errorLabels: string[] | undefined
}

interface Armed {
  skip: number
  times: number
  probability: number
  data: Doc
  entered: number
}

/**
 * The fail points that drivers test with: failCommand.
 * https://github.com/mongodb/mongo/wiki/The-%22failCommand%22-fail-point
 */
export class FailPoints {
  #failCommand: Armed | undefined
  #entered = 0

  /** Sets or clears a fail point; answers how often it was entered. Throws FailPointSetFailed for an unknown one. */
  configure (name: Value, mode: Value, data: Value): number {
    if (name !== 'failCommand') throw new CommandError('FailPointSetFailed', `fail point ${String(name)} not found`)
    const armed: Armed = { skip: 0, times: Infinity, probability: 1, data: isDocument(data) ? data : {}, entered: 0 }
    const entered = this.#entered
    if (mode === 'off') {
      this.#failCommand = undefined
      return entered
    }
    if (isDocument(mode)) {
      const [option] = Object.keys(mode)
      const number = toNumber(mode[option!])
      if (number === undefined || number < 0 || !['times', 'skip', 'activationProbability'].includes(option!)) throw new CommandError('BadValue', `unknown mode: ${option}`)
      if (option === 'times') armed.times = number
      else if (option === 'skip') armed.skip = number
      else armed.probability = number
    } else if (mode !== 'alwaysOn') throw new CommandError('BadValue', 'invalid mode')
    const { errorCode } = armed.data
    if (errorCode !== undefined && toNumber(errorCode) === undefined) throw new CommandError('TypeMismatch', 'errorCode must be a number')
    this.#failCommand = armed
    return entered
  }

  /** What befalls this command, if anything. */
  enter (command: string, namespace: string, appName: string | undefined): Failure | undefined {
    const armed = this.#failCommand
    if (armed === undefined || command === 'configureFailPoint') return undefined
    const { data } = armed
    if (!Array.isArray(data.failCommands) || !data.failCommands.some((name: string) => same(name, command))) return undefined
    if (data.appName !== undefined && data.appName !== appName) return undefined
    if (data.namespace !== undefined && data.namespace !== namespace) return undefined
    if (armed.skip > 0) {
      armed.skip--
      return undefined
    }
    if (armed.probability < 1 && Math.random() >= armed.probability) return undefined
    if (armed.times <= 0) return undefined
    armed.times--
    this.#entered++
    const code = toNumber(data.errorCode)
    const errorLabels = Array.isArray(data.errorLabels) ? data.errorLabels : undefined
    return {
      blockTimeMS: data.blockConnection === true ? toNumber(data.blockTimeMS) ?? 0 : 0,
      closeConnection: data.closeConnection === true,
      error: code === undefined
        ? undefined
        : new CommandError(code, `Failing command via 'failCommand' failpoint: ${command}`, { ...data.errorExtraInfo, ...(errorLabels ? { errorLabels } : {}) }),
      writeConcernError: isDocument(data.writeConcernError) ? data.writeConcernError : undefined,
      errorLabels
    }
  }
}

const hello = new Set(['hello', 'isMaster', 'ismaster'])
const same = (name: string, command: string): boolean => name === command || (hello.has(name) && hello.has(command))
