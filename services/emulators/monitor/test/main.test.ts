import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { SettingsError } from '#common/config.ts'
import { freePorts } from '../../processes/probes.ts'
import { loadConfig } from '../config.ts'
import { certificates } from './monitor.ts'

const MAIN = fileURLToPath(import.meta.resolve('../main.ts'))
const ORPHAN = import.meta.resolve('../../processes/orphan.ts')

const { settings } = await certificates(t)

function run (env: NodeJS.ProcessEnv) {
  const child = spawn(process.execPath, ['--import', ORPHAN, MAIN], {
    env,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc']
  })
  t.teardown(() => child.kill('SIGKILL'))
  let output = ''
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.setEncoding('utf8').on('data', (chunk) => {
      output += chunk
    })
  }
  return { child, closed: once(child, 'close'), output: () => output }
}

t.test('listens on the loopback address, with telemetry on its own port, and stops on SIGTERM', async (t) => {
  const [port, ingestion] = (await freePorts(2)) as [number, number]
  const { child, closed, output } = run({
    ...settings,
    PORT: String(port),
    INGESTION_PORT: String(ingestion)
  })
  while (!output().includes('"listening"')) {
    await Promise.race([
      once(child.stdout!, 'data'),
      closed.then(() => {
        throw new Error(output())
      })
    ])
  }
  t.equal((await fetch(`http://127.0.0.1:${port}/health/ready`)).status, 200)
  t.match(await (await fetch(`http://localhost:${port}/`)).text(), 'No telemetry has arrived yet.')
  child.kill('SIGTERM')
  t.same(await closed, [0, null])
})

t.test('ends with one line where a port is taken', async (t) => {
  const [port, ingestion] = (await freePorts(2)) as [number, number]
  const first = run({ ...settings, PORT: String(port), INGESTION_PORT: String(ingestion) })
  while (!first.output().includes('"listening"')) await once(first.child.stdout!, 'data')
  const second = run({ ...settings, LOG_LEVEL: 'silent', PORT: '0', INGESTION_PORT: String(ingestion) })
  t.same(await second.closed, [1, null])
  t.match(second.output(), /^listen EADDRINUSE[^\n]*\n$/)
})

t.test('names the settings that are wrong, and no value', async (t) => {
  const refused = (env: NodeJS.ProcessEnv) => {
    try {
      loadConfig(env)
    } catch (error) {
      t.ok(error instanceof SettingsError)
      return (error as Error).message
    }
  }
  t.match(refused({}), /TLS_CERT_FILE is missing; TLS_KEY_FILE is missing/)
  t.match(
    refused({ ...settings, TLS_KEY_FILE: '/nothing/here' }),
    'TLS_CERT_FILE and TLS_KEY_FILE cannot be used (ENOENT)'
  )
  t.equal(
    refused({ ...settings, MAX_OPERATIONS: '0', AUDIT_DB_VIEWER_CONNECTION: 'secret' })?.includes('secret'),
    false
  )
  t.match(loadConfig(settings), { HOST: '127.0.0.1', INGESTION_HOST: '127.0.0.1', secrets: undefined })
})
