import type { FastifyBaseLogger, FastifyRequest } from 'fastify'
import { randomUUIDv7 } from 'node:crypto'
import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import pino from 'pino'
import { test, type Test } from 'tap'
import { replicas } from '../../common/test/replicas.ts'
import { vault } from '../../common/test/secrets.ts'
import { AuditClient } from '../audit-client.ts'

const request = { headers: {} } as FastifyRequest

/** A client of three replicas of the Audit service. */
async function client (t: Test, answer: (number: number) => RequestListener) {
  const audit = await replicas(t, 3, answer)
  const secret = vault(t)
  secret.add('1')
  const hostKey = secret.reader(String)
  await hostKey.loaded
  const client = new AuditClient(audit.origin, hostKey, pino({ level: 'silent' }) as FastifyBaseLogger, async () => audit.ips)
  t.teardown(() => client.close())
  return {
    ...audit,
    record: () => client.record(randomUUIDv7(), { resource: { type: 'patient', operation: 'load' } }, request, 5_000)
  }
}

const take: RequestListener = (request, response) => { request.resume().once('end', () => response.writeHead(201).end('{}')) }

test('records are spread over the replicas of the Audit service', async (t) => {
  const { record, calls, connections } = await client(t, () => take)
  for (let i = 0; i < 60; i++) await record()
  t.strictSame(calls, [20, 20, 20])
  t.strictSame(connections, [1, 1, 1])
  await Promise.all(Array.from({ length: 30 }, record))
  t.strictSame(calls, [30, 30, 30])
})

test('a replica that is gone or breaks off costs no record', async (t) => {
  const { record, calls, servers } = await client(t, (number) => number === 1 ? ({ socket }) => socket.destroy() : take)
  await once(servers[1]!.close(), 'close')
  await Promise.all(Array.from({ length: 30 }, record))
  for (let i = 0; i < 30; i++) await record()
  t.equal(calls[2], 60)
})

test('calls that others follow change to another client, and none of them is lost', async (t) => {
  let refused = 0
  const { record, calls } = await client(t, () => (request, response) => {
    // Some are under way while it changes
    if (refused++ % 50 === 0) request.socket.destroy()
    else setTimeout(take, 2, request, response)
  })
  for (let i = 0; i < 20; i++) await Promise.all(Array.from({ length: 30 }, record))
  t.ok(calls.reduce((a, b) => a + b) >= 600)
  t.ok(calls.every((count) => count > 150))
})
