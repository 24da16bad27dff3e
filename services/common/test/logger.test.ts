import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'
import { test } from 'tap'
import pino from 'pino'
import { describeError, loggerOptions } from '../telemetry/logger.ts'

test('an error is logged by class, code and frames, a system error by its message too', async (t) => {
  const error = Object.assign(new RangeError('confidential'), {
    code: 11000,
    cause: Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), {
      syscall: 'connect',
      code: 'ECONNREFUSED'
    })
  })
  const described = describeError(error)
  t.match(described, {
    type: 'RangeError',
    code: 11000,
    cause: { code: 'ECONNREFUSED', message: 'connect ECONNREFUSED 127.0.0.1:1' }
  })
  t.notMatch(JSON.stringify(described), /confidential/)
})

test('an error whose message has lines like frames does not smuggle them in', async (t) => {
  t.notMatch(describeError(new Error('a\n    at confidential (confidential)')).stack, /confidential/)
})

test('secrets are redacted by name', async (t) => {
  let line = ''
  const log = pino(loggerOptions('test', 'info'), {
    write: (text: string) => {
      line += text
    }
  })
  log.info({
    hostKey: 'confidential',
    connectionString: 'confidential',
    headers: { a: 'confidential' },
    body: { a: 'confidential' },
    'x-functions-key': 'confidential'
  })
  t.match(line, /redacted/)
  t.notMatch(line, /confidential/)
})

test('buffered lines are written before the process ends, whatever ends it', async (t) => {
  const logger = JSON.stringify(import.meta.resolve('../telemetry/logger.ts'))
  for (const end of [
    '',
    'process.exit(0)',
    'setTimeout(() => process.exit(0), 400)',
    "process.kill(process.pid, 'SIGTERM'); setTimeout(() => {}, 5_000)"
  ]) {
    const script = `
      import pino from 'pino'
      const { logDestination } = await import(${logger})
      process.once('SIGTERM', () => process.exit(0))
      const log = pino({}, logDestination())
      for (let i = 0; i < 500; i++) log.info({ i }, 'x')
      ${end}`
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script])
    t.strictSame(
      stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line).i),
      Array.from({ length: 500 }, (_, i) => i),
      end
    )
  }
})

test('a process ends although nobody reads its output', async (t) => {
  const logger = JSON.stringify(import.meta.resolve('../telemetry/logger.ts'))
  const script = `
    import pino from 'pino'
    const { logDestination } = await import(${logger})
    const log = pino({}, logDestination())
    process.once('disconnect', () => { log.fatal('x'); process.exit(3) })
    process.send('ready')`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit', 'ipc']
  })
  t.teardown(() => child.kill('SIGKILL'))
  const ended = once(child, 'exit')
  await once(child, 'message')
  child.stdout!.destroy()
  await once(child.stdout!, 'close')
  child.disconnect()
  t.strictSame(await ended, [3, null])
})
