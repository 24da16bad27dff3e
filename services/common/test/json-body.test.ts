import { test } from 'tap'
import { service } from './service.ts'

const echo = (t: Parameters<typeof service>[0]) =>
  service(t, (app) => {
    app.post('/', async ({ body }) => ({ body }))
  })

test('a body is read as JSON whatever its Content-Type says or omits', async (t) => {
  const { app } = await echo(t)
  for (const type of [
    undefined,
    'application/json',
    'text/plain',
    'application/merge-patch+json',
    'nonsense'
  ]) {
    const answer = await app.inject({
      method: 'POST',
      url: '/',
      payload: Buffer.from('{"a":1}'),
      headers: type ? { 'content-type': type } : {}
    })
    t.same(answer.json(), { body: { a: 1 } }, String(type))
  }
})

test('what is not JSON in UTF-8, or could not be stored as sent, is refused', async (t) => {
  const { app, logs } = await echo(t)
  const bodies = [
    '{',
    '{"a":secret}',
    '{"__proto__":{"secret":1}}',
    '{"constructor":{"prototype":{"secret":1}}}',
    '{"a":"secret\\ud800"}',
    '{"\\udc00secret":1}',
    '["\\ud83d", "\\ude00"]',
    '"secret\\u0000"'
  ]
  for (const body of [
    ...bodies.map((text) => Buffer.from(text)),
    Buffer.from([0x22, 0xff, 0x22]),
    Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])
  ]) {
    const answer = await app.inject({ method: 'POST', url: '/', payload: body })
    t.equal(answer.statusCode, 400, body.toString())
    t.match(answer.json(), { code: 'INVALID_BODY', status: 400 })
    t.notMatch(answer.body, /secret/)
  }
  t.notMatch(logs(), /secret/)
})

test('surrogate pairs are kept', async (t) => {
  const { app } = await echo(t)
  const answer = await app.inject({
    method: 'POST',
    url: '/',
    payload: '"\\ud83d\\ude00 \\\\u0000 \\\\ud800"'
  })
  t.same(answer.json(), { body: '😀 \\u0000 \\ud800' })
})

test('a body over 1 MiB is a 413', async (t) => {
  const { app } = await echo(t)
  const answer = await app.inject({ method: 'POST', url: '/', payload: JSON.stringify('x'.repeat(2 ** 20)) })
  t.match(answer.json(), { status: 413, code: 'BODY_TOO_LARGE' })
})

test('a name that is twice in one object is refused, and named where the schema knows it', async (t) => {
  const inner = { type: 'object', properties: { code: {} } }
  const body = { type: 'object', properties: { a: {}, list: { type: 'array', items: inner } } }
  const { app } = await service(t, (app) => {
    app.post('/', { schema: { body } }, async ({ body }) => ({ body }))
  })
  const cases: Array<[string, string]> = [
    ['{"a":1,"a":1}', '#/a'],
    ['{"a":1, "\\u0061" :2}', '#/a'],
    ['{"a":"\\"}","b":{},"a":2}', '#/a'],
    ['{"secret":1,"secret":2}', '#'],
    ['{"list":[{"code":":"},{"code":1,"x":{},"code":2}]}', '#/list/1/code'],
    ['{"list":[{"secret":{"secret":1,"secret":1}}]}', '#/list/0'],
    ['[[{"a":1,"a":2}]]', '#'],
    ['{"":1,"":2}', '#']
  ]
  for (const [payload, pointer] of cases) {
    const answer = await app.inject({ method: 'POST', url: '/', payload: Buffer.from(payload) })
    t.match(
      answer.json(),
      { status: 400, code: 'INVALID_BODY', errors: [{ pointer, message: 'must not be sent twice' }] },
      payload
    )
    t.notMatch(answer.body, /secret/)
  }
  for (const payload of [
    '{"a":{"a":{"a":"\\"a\\":"}},"list":[{"code":1},{"code":2}]}',
    ' { "a" : [ "x" , "y" ] } '
  ]) {
    t.equal(
      (await app.inject({ method: 'POST', url: '/', payload: Buffer.from(payload) })).statusCode,
      200,
      payload
    )
  }
})

test('a string with NUL or an unpaired surrogate is refused with its place', async (t) => {
  const body = {
    type: 'object',
    properties: { a: {}, list: { type: 'array', items: { properties: { code: {} } } } }
  }
  const { app } = await service(t, (app) => {
    app.post('/', { schema: { body } }, async ({ body }) => ({ body }))
  })
  for (const [payload, pointer] of [
    ['{"a":"x\\u0000"}', '#/a'],
    ['{"list":[{"code":"\\ud800x"}]}', '#/list/0/code'],
    ['{"secret\\udc00":1}', '#'],
    ['{"secret":"\\u0000"}', '#']
  ] as const) {
    const answer = await app.inject({ method: 'POST', url: '/', payload: Buffer.from(payload) })
    t.match(
      answer.json(),
      { status: 400, code: 'INVALID_BODY', errors: [{ pointer, message: /NUL|surrogate/ }] },
      payload
    )
    t.notMatch(answer.body, /secret/)
  }
})

test('a body with a Content-Encoding is a 415, unless it is identity', async (t) => {
  const { app } = await echo(t)
  const post = (encoding: string) =>
    app.inject({ method: 'POST', url: '/', payload: '{"a":1}', headers: { 'content-encoding': encoding } })
  for (const encoding of ['gzip', 'br', 'identity, gzip', 'x']) {
    const answer = await post(encoding)
    t.match(answer.json(), { status: 415, code: 'ENCODED_BODY' }, encoding)
    t.equal(answer.headers['accept-encoding'], 'identity')
  }
  for (const encoding of ['identity', 'Identity', '']) {
    t.equal((await post(encoding)).statusCode, 200, encoding)
  }
})
