import { test } from 'tap'
import { service } from './service.ts'

const echo = (t: Parameters<typeof service>[0]) => service(t, (app) => { app.post('/', async ({ body }) => ({ body })) })

test('a body is read as JSON whatever its Content-Type says or omits', async (t) => {
  const { app } = await echo(t)
  for (const type of [undefined, 'application/json', 'text/plain', 'application/merge-patch+json', 'nonsense']) {
    const answer = await app.inject({ method: 'POST', url: '/', payload: Buffer.from('{"a":1}'), headers: type ? { 'content-type': type } : {} })
    t.same(answer.json(), { body: { a: 1 } }, String(type))
  }
})

test('what is not JSON in UTF-8, or could not be stored as sent, is refused', async (t) => {
  const { app, logs } = await echo(t)
  const bodies = ['{', '{"a":secret}', '{"__proto__":{"secret":1}}', '{"constructor":{"prototype":{"secret":1}}}', '{"a":"secret\\ud800"}', '{"\\udc00secret":1}', '["\\ud83d", "\\ude00"]', '"secret\\u0000"']
  for (const body of [...bodies.map((text) => Buffer.from(text)), Buffer.from([0x22, 0xff, 0x22]), Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])]) {
    const answer = await app.inject({ method: 'POST', url: '/', payload: body })
    t.equal(answer.statusCode, 400, body.toString())
    t.match(answer.json(), { code: 'INVALID_BODY', status: 400 })
    t.notMatch(answer.body, /secret/)
  }
  t.notMatch(logs(), /secret/)
})

test('surrogate pairs are kept', async (t) => {
  const { app } = await echo(t)
  const answer = await app.inject({ method: 'POST', url: '/', payload: '"\\ud83d\\ude00 \\\\u0000 \\\\ud800"' })
  t.same(answer.json(), { body: '😀 \\u0000 \\ud800' })
})

test('a body over 1 MiB is a 413', async (t) => {
  const { app } = await echo(t)
  const answer = await app.inject({ method: 'POST', url: '/', payload: JSON.stringify('x'.repeat(2 ** 20)) })
  t.match(answer.json(), { status: 413, code: 'BODY_TOO_LARGE' })
})
