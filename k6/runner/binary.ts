import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { StartError } from '../../services/cli/system/state.ts'

const run = promisify(execFile)

/** Where `npm run k6:install` puts it. */
export const BIN = resolve(import.meta.dirname, '../../.local/bin')

/** A k6 of version 1 that this machine has: the one installed here, or one on the path. */
export async function installedK6 () {
  for (const k6 of [resolve(BIN, 'k6'), 'k6']) {
    const version = await run(k6, ['version']).then(({ stdout }) => /\bv1\.\d+\.\d+/.exec(stdout)?.[0], () => undefined)
    if (version) return { k6, version }
  }
}

/** @throws {StartError} where there is none */
export async function findK6 () {
  const installed = await installedK6()
  if (!installed) throw new StartError('there is no k6 of version 1 here; npm run k6:install brings it')
  return installed.k6
}
