import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { StartError } from '../../services/cli/system/state.ts'
import { binaries } from './config.ts'

const run = promisify(execFile)

/** The k6 of version 1 on this machine: the one installed by `npm run k6:install`, or one on the PATH. */
export async function installedK6 () {
  for (const k6 of [join(binaries, 'k6'), 'k6']) {
    const output = await run(k6, ['version']).catch(() => undefined)
    const version = output && /\bv1\.\d+\.\d+/.exec(output.stdout)?.[0]
    if (version) return { k6, version }
  }
}

/** @throws {StartError} if k6 is not installed */
export async function findK6 () {
  const installed = await installedK6()
  if (!installed) throw new StartError('k6 version 1 is not installed; run npm run k6:install')
  return installed.k6
}
