import { test } from 'tap'
import { Type } from 'typebox'
import { DatabaseUnavailable } from '../http/problems.ts'
import { service } from './service.ts'

const Body = Type.Object(
  {
    name: Type.String({ maxLength: 3 }),
    born: Type.String({ format: 'partial-date' }),
    kind: Type.Optional(Type.Enum(['a', 'b'], { type: 'string' })),
    id: Type.Optional(Type.Never()),
    parts: Type.Optional(Type.Array(Type.Object({ code: Type.String() }, { additionalProperties: false })))
  },
  { additionalProperties: false }
)

const routes = (t: Parameters<typeof service>[0]) =>
  service(t, (app) => {
    app.post('/thing/:id', { schema: { body: Body } }, async () => ({}))
    app.get('/defect', async () => {
      throw new TypeError('secret')
    })
    app.get('/unavailable', async () => {
      throw Object.assign(new DatabaseUnavailable(), { cause: new Error('secret') })
    })
    app.get('/foreign', async () => {
      throw Object.assign(new Error('secret'), { statusCode: 418 })
    })
  })

test('an error is problem+json with a code, its instance and the trace id', async (t) => {
  const { app } = await routes(t)
  const answer = await app.inject({
    url: '/none',
    headers: { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }
  })
  t.equal(answer.statusCode, 404)
  t.match(answer.headers['content-type'], /^application\/problem\+json/)
  t.match(answer.json(), {
    type: 'about:blank',
    title: 'Not Found',
    status: 404,
    code: 'ROUTE_NOT_FOUND',
    instance: /^urn:uuid:/,
    traceId: '0af7651916cd43dd8448eb211c80319c'
  })
})

test('every violation of a body is named by property and never by value', async (t) => {
  const { app, logs } = await routes(t)
  const payload = {
    name: 'secret',
    kind: 'secret',
    id: 'secret',
    parts: [{ code: 1 }, { code: 'x', secret: 1 }],
    secret: 'secret'
  }
  const answer = await app.inject({ method: 'POST', url: '/thing/secret', payload })
  t.equal(answer.statusCode, 400)
  const pointers = answer.json().errors.map(({ pointer }: { pointer: string }) => pointer)
  t.same(
    new Set(pointers),
    new Set(['#', '#/name', '#/born', '#/kind', '#/id', '#/parts/0/code', '#/parts/1'])
  )
  t.notMatch(answer.body + logs(), /secret/)
})

test('of a large body only the first violation is named', async (t) => {
  const { app } = await routes(t)
  const answer = await app.inject({
    method: 'POST',
    url: '/thing/1',
    payload: { name: 'abc', born: '1980', parts: Array(10_000).fill(0) }
  })
  t.equal(answer.json().errors.length, 1)
})

test('types are not coerced', async (t) => {
  const { app } = await routes(t)
  for (const payload of [
    { name: 1, born: '1980' },
    { name: 'a', born: 1980 },
    { name: ['a'], born: '1980' },
    { name: null, born: '1980' },
    { name: { $gt: '' }, born: '1980' }
  ]) {
    t.equal(
      (await app.inject({ method: 'POST', url: '/thing/1', payload })).statusCode,
      400,
      JSON.stringify(payload)
    )
  }
})

test('messages of foreign errors reach neither the answer nor the log', async (t) => {
  const { app, logs } = await routes(t)
  const defect = await app.inject('/defect')
  t.match(defect.json(), { status: 500, code: 'DEFECT' })
  t.match((await app.inject('/foreign')).json(), { status: 400 })
  t.match((await app.inject('/%zz')).json(), { status: 400 })
  const unavailable = await app.inject('/unavailable')
  t.match(unavailable.json(), { status: 503, code: 'DATABASE_UNAVAILABLE' })
  t.equal(unavailable.headers['retry-after'], '1')
  t.notMatch([defect, unavailable].map(({ body }) => body).join('') + logs(), /secret/)
  t.match(logs(), /"type":"TypeError"/, 'the log has the class and the frames')
})
