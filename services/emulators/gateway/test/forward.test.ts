import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { connect, createServer as createTcpServer, type AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { request } from 'undici'
import { CLIENT_KEY, asClient, startGateway, startService, urlOf } from './gateway.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const MIB = 2 ** 20

async function startRaw (t: Test, answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const server = createServer(answer)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => new Promise((resolve) => {
    server.close(resolve)
    server.closeAllConnections()
  }))
  return { server, url: address(server) }
}

const address = (
  server: Pick<Server, 'address'>
) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`

/** The head of a POST with a body of `length` bytes. */
const headOf = (length: number, fields = '') =>
  `POST /patient HTTP/1.1\r\nhost: x\r\ncontent-length: ${length}\r\n${fields}` +
  `ocp-apim-subscription-key: ${CLIENT_KEY}\r\n\r\n`

function isUnavailable (t: Test, {
  statusCode, headers, json
}: { statusCode: number, headers: object, json: () => unknown }) {
  t.equal(statusCode, 503)
  t.match(headers, { 'retry-after': /^[1-9]\d*$/, 'content-type': /^application\/json/ })
  const { activityId, ...rest } = json() as { activityId: string }
  t.match(activityId, UUID)
  t.strictSame(rest, { statusCode: 503, message: 'Service unavailable' })
}

t.test('a body goes on unchanged, whatever its type and framing', async (t) => {
  const service = await startService(t)
  const { pass } = await startGateway(t, urlOf(service))
  const body = '{"firstName": "Ünï",  "x":\n1}'
  for (const type of [
    'application/json', 'text/plain', 'application/x-www-form-urlencoded', 'application/merge-patch+json',
    undefined
  ]) {
    const whole = await pass('/patient', { method: 'POST', body, headers: { 'content-type': type } })
    t.equal(whole.body, body)
    t.equal(whole.headers['content-type'], type)
    t.equal(whole.headers['content-length'], String(Buffer.byteLength(body)))
    const chunked = await pass('/patient/1', {
      method: 'PATCH',
      body: Readable.from([
        body.slice(0, 9), body.slice(9)
      ]),
      headers: { 'content-type': type }
    })
    t.equal(chunked.body, body)
    t.equal(chunked.headers['transfer-encoding'], 'chunked')
  }
  const none = await pass('/patient', { method: 'POST' })
  t.equal(none.body, '')
  t.equal(none.headers['content-length'], '0')
})

t.test('a malformed Content-Type is passed on', async (t) => {
  const { url } = await startRaw(t, (request, response) => response.end(request.headers['content-type']))
  const { call } = await startGateway(t, url)
  const {
    statusCode, text
  } = await call('/patient', { method: 'POST', body: '{}', headers: { ...asClient, 'content-type': '%%%' } })
  t.equal(statusCode, 200)
  t.equal(text, '%%%')
})

t.test('the service\'s own answers go back unchanged', async (t) => {
  const problem = '{"type":"about:blank","status":400}'
  const { url } = await startRaw(t, (request, response) => {
    const statusCode = Number(request.headers['x-answer'])
    response.writeHead(statusCode, {
      'content-type': 'application/problem+json',
      etag: '"1"',
      'retry-after': '7',
      location: '/patient/1',
      link: ['<a>', '<b>']
    })
    response.end([204, 304].includes(statusCode) ? undefined : problem)
  })
  const { call } = await startGateway(t, url)
  for (const statusCode of [200, 201, 204, 304, 400, 404, 409, 412, 413, 500, 503]) {
    const {
      headers, text, ...answer
    } = await call('/patient/1', { headers: { ...asClient, 'x-answer': String(statusCode) } })
    t.equal(answer.statusCode, statusCode)
    t.match(headers, { etag: '"1"', 'retry-after': '7', location: '/patient/1' })
    t.match(String(headers.link), '<a>')
    t.equal(text, [204, 304].includes(statusCode) ? '' : problem)
  }
})

t.test('a service that refuses the gateway itself is a 503, since the client\'s key is valid', async (t) => {
  for (const refusal of [401, 403]) {
    const { url } = await startRaw(t, (_request, response) => response.writeHead(refusal, {
      'www-authenticate': 'x'
    }).end('{"status":401}'))
    const { call } = await startGateway(t, url)
    const answer = await call('/patient', { method: 'POST', body: '{}', headers: asClient })
    isUnavailable(t, answer)
    t.notHas(answer.headers, 'www-authenticate')
  }
})

t.test('a host key that is refused is tried once more, with the whole body again', async (t) => {
  let refused = 0
  const { url } = await startRaw(t, async (request, response) => {
    // At once, and so before the rest of a body
    if (refused++ % 2 === 0) return response.writeHead(401).end('{"status":401}')
    const hash = createHash('sha256')
    for await (const chunk of request) hash.update(chunk)
    response.end(hash.digest('hex'))
  })
  const { call } = await startGateway(t, url)
  const slowly = async function * (body: Buffer) {
    for (let at = 0; at < body.length; at += 100_000) {
      yield body.subarray(at, at + 100_000)
      await sleep(5)
    }
  }
  for (const size of [0, 2, 1_000, MIB]) {
    const body = randomBytes(size)
    const digest = createHash('sha256').update(body).digest('hex')
    for (const framed of [body, Readable.from(slowly(body))]) {
      const { statusCode, text } = await call('/patient', { method: 'POST', body: framed, headers: asClient })
      t.equal(statusCode, 200, String(size))
      t.equal(text, digest)
    }
  }
  t.equal((await call('/patient/1', { headers: asClient })).statusCode, 200)
  t.equal(refused, 18, 'two attempts each')
})

t.test('a body larger than the service takes is not sent again, whole or in part', async (t) => {
  const seen: number[] = []
  const { url } = await startRaw(t, (request, response) => {
    if (seen.push(0) === 1) response.writeHead(401).end()
    else {
      request.on('data', ({
        length
      }) => { seen[seen.length - 1]! += length }).once('end', () => response.writeHead(201).end())
    }
  })
  const { call } = await startGateway(t, url)
  const growing = async function * () {
    for (let i = 0; i < 20; i++) {
      yield randomBytes(100_000)
      await sleep(1)
    }
  }
  for (const body of [Readable.from(growing()), randomBytes(2 * MIB)]) {
    seen.length = 0
    const { statusCode } = await call('/patient', { method: 'POST', body, headers: asClient })
    t.ok(statusCode === 503 || seen[1] === 2_000_000 || seen[1] === 2 * MIB, `${statusCode} ${seen}`)
  }
})

t.test('a service that cannot be reached is a 503', async (t) => {
  const { call } = await startGateway(t, 'http://127.0.0.1:1')
  for (const method of ['GET', 'POST', 'DELETE']) {
    isUnavailable(t, await call(method === 'POST' ? '/patient' : '/patient/1', { method, headers: asClient }))
  }
})

t.test('a service that does not answer in time is a 503', async (t) => {
  const { url } = await startRaw(t, () => {})
  const { call } = await startGateway(t, url, { TIMEOUT_MS: '300' })
  isUnavailable(t, await call('/patient/1', { headers: asClient }))
})

t.test('a service that dies during a call is a 503, and a write is not sent again', async (t) => {
  let calls = 0
  const { url } = await startRaw(t, (request) => {
    calls++
    request.on('data', () => {}).on('end', () => request.socket.destroy())
  })
  const { call } = await startGateway(t, url)
  isUnavailable(t, await call('/patient', { method: 'POST', body: '{}', headers: asClient }))
  isUnavailable(t, await call('/patient/search', { method: 'POST', headers: asClient }))
  isUnavailable(t, await call('/patient/1', { method: 'PUT', body: '{}', headers: asClient }))
  isUnavailable(t, await call('/patient/1', { method: 'PATCH', headers: asClient }))
  t.equal(calls, 4)
})

t.test('a kept connection that the service closes under a read is not the client\'s trouble', async (t) => {
  let closes = false
  const { url } = await startRaw(t, (request, response) => {
    if (!closes) return response.end('{}')
    closes = false
    request.socket.destroy()
  })
  const { call } = await startGateway(t, url)
  for (let i = 0; i < 3; i++) {
    t.equal((await call('/patient/1', { headers: asClient })).statusCode, 200)
    closes = true
    t.equal((await call('/patient/1', { headers: asClient })).statusCode, 200)
    t.notOk(closes)
  }
  closes = true
  isUnavailable(t, await call('/patient/1', { method: 'DELETE', headers: asClient }))
})

t.test('a kept connection that the service closed in between is not used again', async (t) => {
  const {
    server, url
  } = await startRaw(t, (request, response) => request.resume().on('end', () => response.end('{}')))
  const { call } = await startGateway(t, url)
  for (let i = 0; i < 5; i++) {
    t.equal((await call('/patient', { method: 'POST', body: '{}', headers: asClient })).statusCode, 200)
    server.closeIdleConnections()
  }
})

t.test('connections to the service are kept', async (t) => {
  const sockets = new Set<unknown>()
  const { url } = await startRaw(t, (request, response) => {
    sockets.add(request.socket)
    request.resume().on('end', () => response.end('{}'))
  })
  const { call } = await startGateway(t, url)
  for (let i = 0; i < 20; i++) await call('/patient', { method: 'POST', body: '{}', headers: asClient })
  t.equal(sockets.size, 1)
})

t.test('a body that the service refuses early is answered with its 413', async (t) => {
  const service = await startService(t)
  const { call } = await startGateway(t, urlOf(service))
  const body = Buffer.alloc(2 * MIB, 'x')
  const calls = Array.from({ length: 50 }, (_, i) => i % 2 === 0
    ? { method: 'POST', body, headers: asClient }
    : {
        method: 'POST',
        body: Readable.from(Array.from({
          length: 32
        }, () => body.subarray(0, 2 ** 16))),
        headers: asClient
      })
  for (const options of calls) t.equal((await call('/patient', options)).statusCode, 413)
})

t.test('a refusal that ends with a reset still arrives', async (t) => {
  // Answers at once and closes with unread data, as hard as a server can
  const server = createTcpServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      socket.pause()
      socket.end(
        'HTTP/1.1 413 Payload Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}',
        () => socket.destroy()
      )
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  const { call } = await startGateway(t, address(server))
  for (let i = 0; i < 50; i++) {
    const {
      statusCode, text
    } = await call('/patient', { method: 'POST', body: Buffer.alloc(2 * MIB), headers: asClient })
    t.equal(statusCode, 413)
    t.equal(text, '{}')
  }
})

t.test('a client that closes its connection hears the refusal too', async (t) => {
  const service = await startService(t)
  const { url } = await startGateway(t, urlOf(service))
  for (let i = 0; i < 10; i++) {
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    let answer = ''
    socket.on('error', () => {}).on('data', (chunk) => { answer += chunk })
    socket.write(headOf(2 * MIB, 'connection: close\r\n'))
    socket.write(Buffer.alloc(2 * MIB))
    await once(socket, 'close')
    t.match(answer, /^HTTP\/1.1 413 /)
  }
})

t.test('a large answer is streamed whole, no faster than the client reads it', async (t) => {
  const part = randomBytes(MIB)
  let sent = 0
  const { url } = await startRaw(t, (_request, response) => {
    response.writeHead(200)
    Readable.from(Array(64).fill(part)).on('data', () => sent++).pipe(response)
  })
  const { url: gateway } = await startGateway(t, url)
  const { body } = await request(`${gateway}/patient/1`, { headers: asClient })
  await once(body, 'readable')
  let before = -1
  while (before !== sent) {
    before = sent
    await sleep(200)
  }
  t.ok(sent < 60, `${sent} MiB of 64 were taken before the client read on`)
  const hash = createHash('sha256')
  for await (const chunk of body) hash.update(chunk)
  const expected = createHash('sha256')
  for (let i = 0; i < 64; i++) expected.update(part)
  t.equal(hash.digest('hex'), expected.digest('hex'))
})

t.test('a large body is streamed whole, no faster than the service reads it', async (t) => {
  const part = randomBytes(MIB)
  const reading = Promise.withResolvers<void>()
  const { url } = await startRaw(t, async (request, response) => {
    await reading.promise
    const hash = createHash('sha256')
    for await (const chunk of request) hash.update(chunk)
    response.end(hash.digest('hex'))
  })
  const { url: gateway } = await startGateway(t, url)
  let sent = 0
  const body = Readable.from((function * () {
    for (let i = 0; i < 64; i++) {
      sent++
      yield part
    }
  })())
  const answer = request(`${gateway}/patient`, { method: 'POST', headers: asClient, body })
  let before = -1
  while (before !== sent) {
    before = sent
    await sleep(200)
  }
  t.ok(sent < 60, `${sent} MiB of 64 were taken before the service read on`)
  reading.resolve()
  const expected = createHash('sha256')
  for (let i = 0; i < 64; i++) expected.update(part)
  t.equal(await (await answer).body.text(), expected.digest('hex'))
})

t.test('a client that disconnects ends the call to the service', async (t) => {
  const gone: Array<Promise<unknown>> = []
  const arrived = Promise.withResolvers<void>()
  const { url } = await startRaw(t, (request, response) => {
    gone.push(once(response, 'close'))
    request.resume().on('error', () => {})
    if (gone.length === 3) arrived.resolve()
  })
  const { url: gateway, accessLog } = await startGateway(t, url)
  const abort = new AbortController()
  const unending = new Readable({ read () {} })
  // More than is read before the service is called
  unending.push(Buffer.alloc(2 * MIB))
  const calls = [
    request(`${gateway}/patient/1`, { headers: asClient, signal: abort.signal }),
    request(`${gateway}/patient`, { method: 'POST', body: '{}', headers: asClient, signal: abort.signal }),
    request(`${gateway}/patient`, { method: 'POST', body: unending, headers: asClient, signal: abort.signal })
  ]
  await arrived.promise
  abort.abort()
  for (const call of calls) await t.rejects(call)
  await Promise.all(gone)
  for (const line of await accessLog(3)) t.match(line, { aborted: true, msg: 'request aborted' })
})

t.test('a body whose client disconnects before its end is not sent', async (t) => {
  let calls = 0
  const { url } = await startRaw(t, () => calls++)
  const { url: gateway, accessLog } = await startGateway(t, url)
  const socket = connect(Number(new URL(gateway).port), '127.0.0.1')
  socket.write(`${headOf(1_000)}the beginning`)
  setTimeout(() => socket.destroy(), 100)
  t.match(await accessLog(1), [{ aborted: true }])
  t.equal(calls, 0)
})

t.test('a large response that breaks off breaks off at the client too', async (t) => {
  const { url } = await startRaw(t, (_request, response) => {
    response.writeHead(200, { 'content-length': '100000' })
    response.write('half', () => response.destroy())
  })
  const { url: gateway } = await startGateway(t, url)
  const { statusCode, body } = await request(`${gateway}/patient/1`, { headers: asClient })
  t.equal(statusCode, 200)
  await t.rejects(body.text())
})

t.test('a small response that breaks off is a 503', async (t) => {
  const { url } = await startRaw(t, (_request, response) => {
    response.writeHead(200, { 'content-length': '100' })
    response.write('half', () => response.destroy())
  })
  const { call } = await startGateway(t, url)
  isUnavailable(t, await call('/patient/1', { headers: asClient }))
})

t.test('after a refused upload the client\'s connection serves on', async (t) => {
  const service = await startService(t)
  const { url } = await startGateway(t, urlOf(service))
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  let answers = ''
  socket.on('data', (chunk) => { answers += chunk })
  socket.write(headOf(2 * MIB))
  socket.write(Buffer.alloc(2 * MIB))
  socket.write('GET /status-0123456789abcdef HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
  await once(socket, 'close')
  t.strictSame(answers.match(/HTTP\/1.1 \d+/g), ['HTTP/1.1 413', 'HTTP/1.1 200'])
})

t.test('a closing gateway finishes the call under way and ends its connection', async (t) => {
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<ServerResponse>()
  const { url } = await startRaw(t, (_request, response) => arrive(response))
  const { app, call } = await startGateway(t, url)
  const answer = call('/patient/1', { headers: asClient })
  const response = await arrived
  const closed = app.close()
  response.end('done')
  t.match(await answer, { statusCode: 200, headers: { connection: 'close' } })
  await closed
})
