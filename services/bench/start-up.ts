import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { startSystem, type System } from '../test/system.ts'
import { figure, median } from './figures.ts'
import { bundle, startTimed } from './timed.ts'

const ROUNDS = 10

/** How long a bundled service takes from its spawn to its first 200, with what it compiled before, with and without telemetry. */
export async function startUp () {
  const dir = mkdtempSync(join(tmpdir(), 'bundle-'))
  const sink = new Worker(new URL('./sink.ts', import.meta.url))
  const [telemetry] = await once(sink, 'message') as [NodeJS.ProcessEnv]
  const system = await startSystem()
  try {
    await bundle(dir, 'audit')
    const measured = { off: [] as number[], on: [] as number[] }
    // The first of each fills the cache
    for (let round = -1; round < ROUNDS; round++) {
      for (const contender of ['off', 'on'] as const) {
        const ms = await firstAnswer(dir, system, contender === 'on' ? telemetry : {})
        if (round >= 0) measured[contender].push(ms)
      }
    }
    figure('start-up-ms', median(measured.off))
    figure('start-up-with-telemetry-ms', median(measured.on))
    figure('start-up-with-telemetry-to-without', median(measured.on) / median(measured.off))
  } finally {
    await system.stop()
    await sink.terminate()
    rmSync(dir, { recursive: true, force: true })
  }
}

async function firstAnswer (dir: string, { keys, run }: System, telemetry: NodeJS.ProcessEnv) {
  const settings = {
    ALLOWED_CALLERS: '127.0.0.1/32',
    AUDIT_HOST_KEY: keys['audit-host-key'],
    AUDIT_DB_CONNECTION: run.audit.connection,
    DATABASE_NAME: 'audit',
    ...telemetry
  }
  const { ms, stop } = await startTimed(dir, 'audit', settings, { method: 'GET', path: '/health/ready', expected: 200 })
  // Long enough for the exporter to load, and to be in the cache
  await sleep(1_500)
  await stop()
  return ms
}
