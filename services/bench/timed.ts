import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { request } from 'undici'
import { preloads } from '../emulators/processes/child.ts'
import { freePorts } from '../emulators/processes/probes.ts'

const BUNDLE = fileURLToPath(new URL('../../docker/bundle.ts', import.meta.url))

/** Bundles the processes `names` below `dir`, as the images have them. */
export async function bundle (dir: string, ...names: string[]) {
  await promisify(execFile)(process.execPath, [BUNDLE, dir, ...names])
}

/** What a process is asked first. */
export interface Call {
  method: 'GET' | 'POST'
  path: string
  headers?: Record<string, string>
  body?: string
  /** Any other answer is a failure. */
  expected: number
}

/**
 * Starts the bundle `name` of `dir`, with what it compiled before; tells how many ms passed from its spawn to its
 * first answer to `call`.
 */
export async function startTimed (dir: string, name: string, settings: NodeJS.ProcessEnv, call: Call) {
  const [port] = await freePorts() as [number]
  const env = { PATH: process.env.PATH, NODE_COMPILE_CACHE: join(dir, 'cache'), LOG_LEVEL: 'warn', DRAIN_SECONDS: '0', ...settings, HOST: '127.0.0.1', PORT: String(port) }
  const began = performance.now()
  const service = spawn(process.execPath, [...preloads, join(dir, name, 'main.mjs')], { env, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const ended = once(service, 'exit')
  while (!await isAnswered(`http://127.0.0.1:${port}`, call)) {
    if (service.exitCode !== null) throw new Error(`${name} ended with ${service.exitCode}`)
    await sleep(2)
  }
  const ms = performance.now() - began
  return {
    ms,
    /** What it holds, in bytes: its own pages, and its share of those that others have too. */
    memory: () => Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${service.pid}/smaps_rollup`, 'utf8'))![1]) * 1_024,
    async stop () {
      service.kill()
      await ended
    }
  }
}

async function isAnswered (origin: string, { method, path, headers, body, expected }: Call) {
  try {
    const answer = await request(origin + path, { method, headers: { ...headers, connection: 'close' }, body })
    await answer.body.dump()
    if (answer.statusCode === expected) return true
    if (answer.statusCode !== 503) throw new Error(`it was answered ${answer.statusCode}`)
    return false
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') return false
    throw error
  }
}
