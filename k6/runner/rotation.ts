import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { secretNames } from '../../services/rotation/strategies.ts'
import { readRun } from '../../services/cli/system/state.ts'

const run = promisify(execFile)
const ROTATE = fileURLToPath(import.meta.resolve('../../services/cli/rotate.ts'))

// In refresh intervals: a new version is active after two, and the one before expires after the grace time
const INTERVAL = 5
const GRACE = 8

/** Rotates all secrets of the system in `dir` but clients' keys repeatedly, until the returned function. */
export function rotateBeside (dir: string) {
  const { keyRefreshSeconds, database } = readRun(dir)
  const seconds = INTERVAL * keyRefreshSeconds
  const names = secretNames.filter((name) =>
    name !== 'gateway-subscription-keys' && (database || !name.endsWith('-connection')))
  const stopping = new AbortController()
  const env = { ...process.env, LOCAL_DIR: dir, KEY_GRACE_SECONDS: String(GRACE * keyRefreshSeconds) }
  let rotations = 0

  async function rotate () {
    while (!stopping.signal.aborted) {
      await run(process.execPath, [ROTATE, ...names], { env })
      rotations++
      await sleep(seconds * 1_000, undefined, { signal: stopping.signal }).catch(() => {})
    }
  }

  const problem = ({ stderr }: { stderr: string }) => [`the rotation failed: ${stderr}`]
  const rotating = rotate().then(() => [], problem)
  return async () => {
    stopping.abort()
    const problems = await rotating
    const line = `${rotations} rotations of ${names.length} secrets, one every ${seconds} s`
    return { lines: [line], problems }
  }
}
