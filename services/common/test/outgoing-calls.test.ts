import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type Test } from 'tap'
import { request } from 'undici'
import { beginOperation, runInOperations, setExporter, type TelemetryItem } from '../telemetry/operation.ts'
import { parseTraceparent } from '../telemetry/trace.ts'
import { openPool } from '../http/pool.ts'

const traceId = '0af7651916cd43dd8448eb211c80319c'

async function calling (t: Test, answer: RequestListener) {
  const items: TelemetryItem[] = []
  setExporter({ sampling: 1, export: (item) => items.push(item) })
  const server = createServer(answer)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const route = (path: string) => path.replace(/\/[^/]*$/, '/:id')
  const pool = openPool(`http://127.0.0.1:${port}`, { target: 'audit', route }, { connections: 1 })
  t.teardown(async () => {
    setExporter(undefined)
    await pool.destroy()
    server.closeAllConnections()
    server.close()
  })
  const operation = beginOperation('GET', '/patient/:patientId', traceId, undefined)!
  const call = (headers: Record<string, string> | string[] = {}, signal?: AbortSignal) =>
    runInOperations([operation], async () => {
      const { statusCode, body } = await pool.request({
        method: 'GET',
        path: '/patient/the-id',
        headers,
        signal
      })
      return { statusCode, text: await body.text() }
    })
  return { items, operation, call, pool }
}

test('a call passes its trace on and is named by its template, whichever way its headers come', async (t) => {
  const parents: string[] = []
  const { items, operation, call } = await calling(t, ({ headers }, response) => {
    parents.push(String(headers.traceparent))
    response.end(String(headers['x-other']))
  })
  const other = `00-${traceId}-b7ad6b7169203331-01`
  t.equal((await call({ traceparent: other, 'x-other': 'kept' })).text, 'kept')
  t.equal((await call(['x-other', 'kept', 'traceparent', other])).text, 'kept')
  t.equal((await call(['x-other', 'kept'])).text, 'kept')
  operation.end(200)
  t.strictSame(
    items.map(({ kind }) => kind),
    ['dependency', 'dependency', 'dependency', 'request']
  )
  for (const [i, parent] of parents.entries()) {
    const trace = parseTraceparent(parent)!
    t.match(items[i], {
      name: 'GET /patient/:id',
      id: trace.parentId,
      traceId: trace.id,
      failed: false,
      attributes: { 'server.address': 'audit', 'http.response.status_code': 200 }
    })
  }
  t.equal(new Set(parents).size, 3)
})

test('a call that is refused or breaks has failed, by its status or the code of its error', async (t) => {
  let broken = false
  const { items, operation, call } = await calling(t, (request, response) => {
    if (broken) request.socket.destroy()
    else response.writeHead(503).end()
  })
  await call()
  broken = true
  await t.rejects(call())
  operation.end(503)
  t.match(items, [
    { failed: true, attributes: { 'http.response.status_code': 503 } },
    { failed: true, attributes: { 'error.type': 'UND_ERR_SOCKET' } },
    { kind: 'request' }
  ])
  t.notMatch(JSON.stringify(items), 'the-id')
})

test('a call that waits for a connection belongs to its own operation', async (t) => {
  const { items, operation, call, pool } = await calling(t, ({ headers }, response) =>
    response.end(String(headers.traceparent))
  )
  const other = beginOperation('GET', '/other', 'f'.repeat(32), undefined)!
  const first = call()
  const second = runInOperations([other], () => pool.request({ method: 'GET', path: '/patient/the-id' }))
  t.match((await first).text, traceId)
  t.match(await (await second).body.text(), 'f'.repeat(32))
  operation.end(200)
  other.end(200)
  t.strictSame(
    items.map(({ kind, traceId }) => `${kind} ${traceId}`),
    [traceId, 'f'.repeat(32)].flatMap((id) => [`dependency ${id}`, `request ${id}`])
  )
})

test('a call that is aborted has failed, by the name of the reason', async (t) => {
  const arrived = Promise.withResolvers<void>()
  const { items, operation, call } = await calling(t, () => arrived.resolve())
  const abort = new AbortController()
  const aborted = call({}, abort.signal)
  await arrived.promise
  abort.abort()
  await t.rejects(aborted, { name: 'AbortError' })
  operation.end(200)
  t.match(items, [{ failed: true, attributes: { 'error.type': 'AbortError' } }, { kind: 'request' }])
  t.equal(items.length, 2)
})

test('requests to other origins, and those of no operation, are not recorded', async (t) => {
  const { items, operation, call } = await calling(t, ({ headers }, response) =>
    response.end(String(headers.traceparent))
  )
  const server = createServer(({ headers }, response) => response.end(String(headers.traceparent)))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const other = await runInOperations([operation], () => request(url, { reset: true }))
  t.equal(await other.body.text(), 'undefined')
  t.equal((await runInOperations([], () => call())).text.length, 55)
  operation.end(200)
  t.strictSame(
    items.map(({ kind }) => kind),
    ['dependency', 'request']
  )
})
