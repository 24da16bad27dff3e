import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import { randomUUIDv7 } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import pino from 'pino'
import { test, type Test } from 'tap'
import { vault } from '../../common/test/secrets.ts'
import { AuditClient } from '../audit-client.ts'

const request = { headers: {} } as FastifyRequest
const unavailable = { code: 'AUDIT_UNAVAILABLE' }

const accept: RequestListener = (request, response) => {
  request.resume().once('end', () => response.writeHead(201).end('{}'))
}

/** A client with `keys`, the newest last, of an audit service that answers with `answer`. */
async function start (t: Test, answer: RequestListener, keys = ['1']) {
  const sockets = new Set<Socket>()
  const ids: unknown[] = []
  const server = createServer(answer)
    .on('connection', (socket) => sockets.add(socket))
    .on('request', ({ headers }) => ids.push(headers['idempotency-key']))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const secret = vault(t)
  for (const key of keys) secret.add(key)
  const hostKey = secret.reader(String)
  await hostKey.loaded
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const client = new AuditClient(url, hostKey, pino({ level: 'silent' }) as FastifyBaseLogger)
  t.teardown(() => client.close())
  const record = (ms = 30_000) => client.record(
    randomUUIDv7(), { resource: { type: 'patient', operation: 'load' } }, request, ms)
  return { server, sockets, ids, client, record }
}

test('records go over kept connections, of which there is a limit', async (t) => {
  const { record, sockets, ids } = await start(t, accept)
  for (let i = 0; i < 50; i++) await record()
  t.ok(sockets.size <= 2, `${sockets.size} connections for calls one after another`)
  await Promise.all(Array.from({ length: 500 }, () => record()))
  t.equal(ids.length, 550)
  t.ok(sockets.size <= 128, `${sockets.size} connections`)
})

test('a connection that breaks costs no record, and the record is sent again under its id', async (t) => {
  let calls = 0
  const { record, ids } = await start(t, (request, response) => {
    // Some are under way when it breaks
    if (calls++ % 50 === 0) request.socket.destroy()
    else setTimeout(accept, 2, request, response)
  })
  for (let i = 0; i < 20; i++) await Promise.all(Array.from({ length: 30 }, () => record()))
  t.equal(new Set(ids).size, 600)
  t.ok(ids.length > 600)
})

test('a record is sent four times at the most', async (t) => {
  const { record, ids } = await start(t, ({ socket }) => socket.destroy())
  await t.rejects(record(), unavailable)
  t.equal(ids.length, 4)
  t.equal(new Set(ids).size, 1)
})

test('a record is not stored if the service cannot be reached or its status is not 201', async (t) => {
  let status = 500
  const { record, server, ids } = await start(t, (request, response) => {
    request.resume().once('end', () => response.writeHead(status).end())
  })
  for (status of [200, 400, 403, 500, 503]) await t.rejects(record(), unavailable)
  t.equal(ids.length, 5)
  server.closeAllConnections()
  await once(server.close(), 'close')
  await t.rejects(record(), unavailable)
})

test('a key that is refused has each other version tried once, under the same id', async (t) => {
  const keys: unknown[] = []
  let valid = 'value-of-1'
  const { record, ids } = await start(t, (request, response) => {
    const key = request.headers['x-functions-key']
    keys.push(key)
    request.resume().once('end', () => response.writeHead(key === valid ? 201 : 401).end())
  }, ['1', '2'])
  await record()
  t.strictSame(keys, ['value-of-2', 'value-of-1'])
  t.equal(new Set(ids).size, 1)
  keys.length = 0
  valid = 'none'
  await t.rejects(record(), unavailable)
  t.strictSame(keys, ['value-of-2', 'value-of-1', 'value-of-2'], 'and the current one again after a refresh')
})

test('an idle connection is closed after 4 s, before the service does so', { timeout: 60_000 }, async (t) => {
  const { record, server, sockets } = await start(t, accept)
  server.keepAliveTimeout = 600_000
  await record()
  const [socket] = sockets
  await once(socket!, 'close')
  await record()
  t.equal(sockets.size, 2)
})

test('the deadline covers all attempts', async (t) => {
  const { record, ids } = await start(t, () => {})
  await t.rejects(record(50), unavailable)
  t.equal(ids.length, 1)
})

test('nothing is sent after its caller was refused', async (t) => {
  let delay = 0
  const { client, record } = await start(t, (request, response) => {
    setTimeout(accept, delay, request, response)
  })
  await Promise.all(Array.from({ length: 200 }, () => record()))
  const refused = new Set<string>()
  let sent = 0
  let sentLate = 0
  const onSend = (message: unknown) => {
    const [, id] = /idempotency-key: (\S+)/.exec((message as { headers: string }).headers)!
    sent++
    if (refused.has(id!)) sentLate++
  }
  subscribe('undici:client:sendHeaders', onSend)
  t.teardown(() => unsubscribe('undici:client:sendHeaders', onSend))

  delay = 1_000
  const entry = { resource: { type: 'patient', operation: 'load' } }
  await Promise.all(Array.from({ length: 500 }, async () => {
    const id = randomUUIDv7()
    await t.rejects(client.record(id, entry, request, 300), unavailable)
    refused.add(id)
  }))
  delay = 0
  // Waits its turn behind all that were queued
  await record()
  t.ok(sent > 0 && sent < 500, `${sent} were sent`)
  t.equal(sentLate, 0)
})

test('a call that cannot be made is refused at once, and nothing of it is left', async (t) => {
  const rejected: unknown[] = []
  const listener = (reason: unknown) => { rejected.push(reason) }
  process.on('unhandledRejection', listener)
  t.teardown(() => { process.off('unhandledRejection', listener) })
  const { record, ids } = await start(t, accept, ['a key that\nno header can hold'])
  await t.rejects(record(300), unavailable)
  await sleep(600)
  t.strictSame(rejected, [])
  t.strictSame(ids, [])
})

test('a client that closes gives up what is under way', async (t) => {
  const arrived = Promise.withResolvers<void>()
  const { client, record } = await start(t, () => arrived.resolve())
  const recorded = record()
  await arrived.promise
  await Promise.all([client.close(), t.rejects(recorded, unavailable)])
})

test('only the first attempt of a record says that it is the first', async (t) => {
  const attempts: unknown[] = []
  const { client } = await start(t, (request, response) => {
    attempts.push(request.headers['x-audit-attempt'])
    if (attempts.length === 1) request.socket.destroy()
    else accept(request, response)
  })
  const record = (sent?: boolean) =>
    client.record(randomUUIDv7(), { resource: { type: 'patient', operation: 'load' } }, request, 30_000, sent)
  await record()
  t.strictSame(attempts, ['1', undefined])
  await record(true)
  t.strictSame(attempts, ['1', undefined, undefined], 'nor does a record that may have been sent before')
})
