import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { Pool } from 'undici'
import { freePorts } from '../../emulators/processes/probes.ts'
import { settings } from './app.ts'

const MAIN = fileURLToPath(import.meta.resolve('../main.ts'))

interface Call {
  body?: object
  headers?: Record<string, string>
  trace?: string
}

export const newTrace = () => randomBytes(16).toString('hex')

/** The patient service as a process of its own, once it is ready. */
export async function patientProcess (t: Test, env: NodeJS.ProcessEnv) {
  const [port] = await freePorts() as [number]
  const child = spawn(process.execPath, [MAIN], {
    env: {
      ...process.env,
      ...settings,
      HOST: '127.0.0.1',
      PORT: String(port),
      DRAIN_SECONDS: '0',
      HEARTBEAT_SECONDS: '1',
      LOG_LEVEL: 'warn',
      ...env
    },
    stdio: ['ignore', 'ignore', 'inherit']
  })
  const ended = once(child, 'exit')
  const pool = new Pool(`http://127.0.0.1:${port}`)
  t.teardown(async () => {
    child.kill('SIGKILL')
    await Promise.all([ended, pool.destroy()])
  })
  const isReady = () => pool.request({ method: 'GET', path: '/health/ready' })
    .then(async ({ statusCode, body }) => {
      await body.dump()
      return statusCode === 200
    }, () => false)
  while (!await isReady()) {
    if (child.exitCode !== null) throw new Error(`it ended with ${child.exitCode}`)
    await sleep(20)
  }

  return {
    async call (method: 'GET' | 'POST' | 'PATCH' | 'DELETE' | 'PUT', path: string, call: Call = {}) {
      const { body, headers, trace = newTrace() } = call
      const sent = {
        'x-functions-key': settings.PATIENT_HOST_KEY,
        'content-type': 'application/json',
        traceparent: `00-${trace}-00f067aa0ba902b7-01`,
        ...headers
      }
      const answer = await pool.request({ method, path, headers: sent, body: body && JSON.stringify(body) })
      const text = await answer.body.text()
      return { status: answer.statusCode, body: text ? JSON.parse(text) : undefined }
    },
    signal: (signal: NodeJS.Signals) => child.kill(signal),
    async kill (signal: NodeJS.Signals = 'SIGKILL') {
      child.kill(signal)
      await ended
    }
  }
}
