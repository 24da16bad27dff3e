import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { request } from 'undici'
import { startSystem } from '../test/system.ts'
import { atMost, figure } from './figures.ts'

const ROUNDS = 5
const TARGET_MS = 5_000
const COMPILE = fileURLToPath(import.meta.resolve('../cli/compile.ts'))

/**
 * Measures the time from `npm start`, as its process is started, to a page of the portal with all services
 * ready, in an empty directory: with the compile cache that `npm ci` leaves, with that of an earlier start,
 * and with none.
 */
export async function start () {
  const times: Record<'afterInstall' | 'again' | 'withoutCache', number[]> =
    { afterInstall: [], again: [], withoutCache: [] }
  for (let round = 0; round < ROUNDS; round++) {
    const [installed, empty] = [0, 1].map(() => mkdtempSync(join(tmpdir(), 'cache-'))) as [string, string]
    const env = { ...process.env, NODE_COMPILE_CACHE: installed }
    await promisify(execFile)(process.execPath, [COMPILE], { env })
    times.afterInstall.push(await timeToPage(installed))
    times.again.push(await timeToPage(installed))
    times.withoutCache.push(await timeToPage(empty))
    for (const cache of [installed, empty]) rmSync(cache, { recursive: true })
  }
  figure('start-to-page-after-install-ms', times.afterInstall, atMost(TARGET_MS))
  figure('start-to-page-ms', times.again, atMost(TARGET_MS))
  figure('start-to-page-without-cache-ms', times.withoutCache)
}

async function timeToPage (NODE_COMPILE_CACHE: string) {
  const began = performance.now()
  const env = { MONITOR: 'on', AUDITOR_PAGE: 'on', NODE_COMPILE_CACHE }
  const system = await startSystem({ env, quiet: true })
  try {
    const { statusCode, body } = await request(`${system.baseUrl}/`)
    const page = await body.text()
    const ms = performance.now() - began
    if (statusCode !== 200 || page.includes('not ready')) throw new Error('the portal is not ready')
    return ms
  } finally {
    await system.stop()
  }
}
