import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { Pool, type Dispatcher } from 'undici'
import { accepts, freePorts } from '../../processes/probes.ts'
import { isAlive } from '../../../test/system.ts'

/** How often ps is run, which takes as long as some requests. */
const PS_MS = 100
const MAIN = fileURLToPath(import.meta.resolve('../main.ts'))
const SERVICE = fileURLToPath(import.meta.resolve('./service.ts'))
const ORPHAN = import.meta.resolve('../../processes/orphan.ts')

/** The ingress as a process, before the small service beside this file. */
export async function startIngress (t: Test, settings: NodeJS.ProcessEnv = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'ingress-'))
  const [port] = await freePorts() as [number]
  const files = { broken: join(dir, 'broken'), held: join(dir, 'held') }
  const env = {
    PATH: process.env.PATH,
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
    HOST: '127.0.0.1',
    PORT: String(port),
    APP_NAME: 'test',
    APP_MODULE: SERVICE,
    IDLE_SECONDS: '60',
    PROBE_SECONDS: '0.1',
    DRAIN_SECONDS: '0',
    BROKEN_FILE: files.broken,
    HELD_FILE: files.held,
    ...settings
  }
  const ingress = spawn(process.execPath, [
    '--import', ORPHAN, MAIN
  ], { env, stdio: ['ignore', 'pipe', 'inherit', 'ipc'] })
  const ended = once(ingress, 'exit')
  let log = ''
  ingress.stdout!.setEncoding('utf8').on('data', (chunk) => { log += chunk })
  const pool = new Pool(`http://127.0.0.1:${port}`, { headersTimeout: 0 })
  t.teardown(async () => {
    await pool.destroy()
    ingress.kill('SIGKILL')
    await ended
    rmSync(dir, { recursive: true, force: true })
  })
  while (!await accepts(port)) {
    if (ingress.exitCode !== null) throw new Error(`the ingress ended with ${ingress.exitCode}`)
    await sleep(10)
  }

  /** Calls the service through it. */
  async function call (path: string, options: Partial<Dispatcher.RequestOptions> = {}) {
    const { statusCode, headers, body } = await pool.request({ method: 'GET', ...options, path })
    const text = await body.text()
    return { statusCode, headers, text, json: () => JSON.parse(text) }
  }

  /** The processes that it has started. */
  async function replicas () {
    const { stdout } = await promisify(execFile)('ps', [
      '-o', 'pid=,stat=', '--ppid', String(ingress.pid)
    ]).catch(() => ({ stdout: '' }))
    const running = stdout.trim().split('\n').filter((line) => line && !line.includes('Z'))
    return running.map((line) => Number(line.trim().split(/\s+/)[0]))
  }

  return {
    port,
    pid: ingress.pid!,
    call,
    replicas,
    logs: () => log,
    /** Waits until it has started so many, and they run. */
    async has (count: number) {
      while ((await replicas()).length !== count) await sleep(PS_MS)
    },
    /** Waits until it has found so many ready, in all. */
    async ready (count: number) {
      while (log.split('"a replica is ready"').length - 1 < count) await sleep(10)
    },
    hold: () => writeFileSync(files.held, ''),
    release: () => rmSync(files.held, { force: true }),
    breakDown: () => writeFileSync(files.broken, ''),
    mend: () => rmSync(files.broken, { force: true }),
    /** Fulfilled with its exit code, once all that it started has ended too. */
    async stop (signal: NodeJS.Signals) {
      const started = await replicas()
      ingress.kill(signal)
      const [code] = await ended
      while (started.some(isAlive)) await sleep(10)
      return code as number | null
    }
  }
}
