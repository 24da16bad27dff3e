import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Output } from '../../emulators/processes/child.ts'
import { LogFile, WholeLines } from './log-file.ts'

export const say = (line: string) => { process.stdout.write(`${line}\n`) }

/**
 * Makes the outputs of processes: each has a log file in `dir`.
 *
 * @param shown whether log lines are shown as well, formatted on a terminal and otherwise as they are: JSON
 */
export async function outputs (dir: string, shown: boolean): Promise<(name: string) => Output> {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const terminal = shown ? await shownLogs() : undefined
  // One listener for each process
  terminal?.setMaxListeners(32)
  return (name) => {
    const file = join(dir, `${name}.log`)
    const logs = new WholeLines()
    logs.pipe(new LogFile(file, (code) => {
      process.stderr.write(`npm start: ${file} cannot be written (${code}), lines are dropped\n`)
    }))
    if (terminal) logs.pipe(terminal, { end: false })
    return { say, logs }
  }
}

async function shownLogs (): Promise<NodeJS.WritableStream> {
  if (!process.stdout.isTTY) return process.stdout
  const { default: pretty } = await import('pino-pretty')
  return pretty({ colorize: true, singleLine: true, sync: true })
}
