import { test } from 'tap'
import pino from 'pino'
import { describeError, loggerOptions } from '../logger.ts'

test('an error is told by class, code and frames, a system error by its message too', async (t) => {
  const error = Object.assign(new RangeError('secret'), { code: 11000, cause: Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:1'), { syscall: 'connect', code: 'ECONNREFUSED' }) })
  const told = describeError(error)
  t.match(told, { type: 'RangeError', code: 11000, cause: { code: 'ECONNREFUSED', message: 'connect ECONNREFUSED 127.0.0.1:1' } })
  t.notMatch(JSON.stringify(told), /secret/)
})

test('an error whose message has lines like frames does not smuggle them in', async (t) => {
  t.notMatch(describeError(new Error('a\n    at secret (secret)')).stack, /secret/)
})

test('what names a secret is redacted', async (t) => {
  let line = ''
  const log = pino(loggerOptions('test', 'info'), { write: (text: string) => { line += text } })
  log.info({ hostKey: 'secret', connectionString: 'secret', headers: { a: 'secret' }, body: { a: 'secret' }, 'x-functions-key': 'secret' })
  t.match(line, /redacted/)
  t.notMatch(line, /secret/)
})
