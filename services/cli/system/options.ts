import { parseArgs } from 'node:util'
import { StartError } from './state.ts'

export const USAGE = `Starts the whole system on this machine.

npm start [-- OPTION…]

  --open           opens the portal in a browser
  --logs           shows the logs of the processes, which are in .local/logs otherwise
  --sample N       stores N invented patients with test results, unless they are stored already
  --scale-to-zero  runs both services behind an ingress that scales them from and to zero
  --help           shows this

Settings are environment variables: docs/settings.md lists them. Ctrl-C stops the system.
`

const MAX_SAMPLE = 100_000

export type Options = ReturnType<typeof readOptions>

/**
 * What is typed after `npm start --`.
 *
 * @throws {StartError} an option is unknown or its value is not valid
 */
export function readOptions (args = process.argv.slice(2)) {
  const values = parse(args)
  const sample = Number(values.sample)
  if (!/^\d{1,6}$/.test(values.sample) || sample > MAX_SAMPLE) {
    throw new StartError(`--sample takes a number of patients from 0 to ${MAX_SAMPLE}`)
  }
  return { ...values, sample, scaleToZero: values['scale-to-zero'] }
}

function parse (args: string[]) {
  const flag = { type: 'boolean', default: false } as const
  try {
    const options = {
      open: flag,
      logs: flag,
      sample: { type: 'string', default: '0' },
      'scale-to-zero': flag,
      help: { ...flag, short: 'h' }
    } as const
    return parseArgs({ args, options }).values
  } catch (error) {
    throw new StartError((error as Error).message)
  }
}
