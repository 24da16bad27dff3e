import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { binaries } from './config.ts'

/** The k6 of version 1 on this machine: the one installed by `npm run k6:install`, or one on the PATH. */
export async function installedK6 () {
  for (const k6 of [join(binaries, 'k6'), 'k6']) {
    const { stdout } = await promisify(execFile)(k6, ['version']).catch(() => ({ stdout: '' }))
    const version = /\bv1\.\d+\.\d+/.exec(stdout)?.[0]
    if (version) return { k6, version }
  }
}
