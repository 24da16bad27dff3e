import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { request } from 'undici'
import { preloads } from '../emulators/processes/child.ts'
import { freePorts } from '../emulators/processes/probes.ts'
import type { Call } from './load.ts'

/** The first request that a process is sent. */
export interface FirstCall extends Call {
  headers?: Record<string, string>
}

/** Starts the bundle `name` of `dir` with its compile cache; `ms` is from the spawn to the first response. */
export async function startTimed (dir: string, name: string, settings: NodeJS.ProcessEnv, call: FirstCall) {
  const [port] = await freePorts() as [number]
  const env = {
    PATH: process.env.PATH,
    NODE_COMPILE_CACHE: join(dir, 'cache'),
    LOG_LEVEL: 'warn',
    DRAIN_SECONDS: '0',
    ...settings,
    HOST: '127.0.0.1',
    PORT: String(port)
  }
  const args = [...preloads, join(dir, name, 'main.mjs')]
  const began = performance.now()
  const service = spawn(process.execPath, args, { env, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const ended = once(service, 'exit')
  while (!await responds(`http://127.0.0.1:${port}`, call)) {
    if (service.exitCode !== null) throw new Error(`${name} ended with exit code ${service.exitCode}`)
    await sleep(2)
  }
  const ms = performance.now() - began
  return {
    ms,
    /** The proportional set size in bytes: pages that processes share count in parts. */
    memory () {
      const rollup = readFileSync(`/proc/${service.pid}/smaps_rollup`, 'utf8')
      return Number(/^Pss:\s+(\d+)/m.exec(rollup)![1]) * 1_024
    },
    async stop () {
      service.kill()
      await ended
    }
  }
}

/** False while nothing listens, or the service is not ready. */
async function responds (origin: string, { method, path, headers, body, expected }: FirstCall) {
  try {
    const response = await request(origin + path, { method, headers, body, reset: true })
    await response.body.dump()
    if (response.statusCode === expected) return true
    if (response.statusCode !== 503) throw new Error(`the first response had status ${response.statusCode}`)
    return false
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') return false
    throw error
  }
}
