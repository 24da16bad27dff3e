import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Worker } from 'node:worker_threads'
import { freePorts } from '../probes.ts'
import { startSystem, type System } from '../test/system.ts'
import { figure, median } from './figures.ts'

const ROUNDS = 10
const BUNDLE = fileURLToPath(new URL('../../../docker/bundle.ts', import.meta.url))

/** How long a bundled service takes from its spawn to its first 200, with what it compiled before, with and without telemetry. */
export async function startUp () {
  const dir = mkdtempSync(join(tmpdir(), 'bundle-'))
  const sink = new Worker(new URL('./sink.ts', import.meta.url))
  const [telemetry] = await once(sink, 'message') as [NodeJS.ProcessEnv]
  const system = await startSystem()
  try {
    await promisify(execFile)(process.execPath, [BUNDLE, dir, 'audit'])
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
  const [port] = await freePorts() as [number]
  const settings = {
    HOST: '127.0.0.1',
    PORT: String(port),
    LOG_LEVEL: 'warn',
    DRAIN_SECONDS: '0',
    ALLOWED_CALLERS: '127.0.0.1/32',
    AUDIT_HOST_KEY: keys['audit-host-key'],
    AUDIT_DB_CONNECTION: run.audit.connection,
    DATABASE_NAME: 'audit'
  }
  const began = performance.now()
  const service = spawn(process.execPath, [join(dir, 'audit/main.mjs')], {
    env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: join(dir, 'cache'), ...settings, ...telemetry },
    stdio: ['ignore', 'ignore', 'inherit']
  })
  const ended = once(service, 'exit')
  while (!await isReady(port)) {
    if (service.exitCode !== null) throw new Error(`the service ended with ${service.exitCode}`)
    await sleep(2)
  }
  const ms = performance.now() - began
  // Long enough for the exporter to load, and to be in the cache
  await sleep(1_500)
  service.kill()
  await ended
  return ms
}

async function isReady (port: number) {
  try {
    const { ok, body } = await fetch(`http://127.0.0.1:${port}/health/ready`)
    await body?.cancel()
    return ok
  } catch {
    return false
  }
}
