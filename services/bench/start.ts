import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { request } from 'undici'
import { startSystem } from '../test/system.ts'
import { atMost, figure } from './figures.ts'

const ROUNDS = 5
const TARGET_MS = 5_000

/**
 * Measures the time from `npm start`, as its process is started, to a page of the portal with all services
 * ready: in an empty directory without a compile cache, as after `npm ci`, and with that cache.
 */
export async function start () {
  const [first, later]: [number[], number[]] = [[], []]
  for (let round = 0; round < ROUNDS; round++) {
    const cache = mkdtempSync(join(tmpdir(), 'cache-'))
    first.push(await timeToPage(cache))
    later.push(await timeToPage(cache))
    rmSync(cache, { recursive: true })
  }
  figure('start-to-page-after-install-ms', first, atMost(TARGET_MS))
  figure('start-to-page-ms', later, atMost(TARGET_MS))
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
