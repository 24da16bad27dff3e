import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import type { FastifyRequest } from 'fastify'
import pino from 'pino'
import { test } from 'tap'
import type { AuditClient, AuditEntry, AuditOrigin } from '../audit-client.ts'
import { UnrecordedFailures } from '../unrecorded-failures.ts'

const entry: AuditEntry = { resource: { type: 'patient', operation: 'create' }, outcome: 'failure' }
const kept = { 'x-audit-actor': 'a-client', 'x-on-behalf-of': 'dr-1' }
const request = { id: 'trace', headers: { ...kept, cookie: 'not-kept' } }

/** Failures, a register that stores what `accepts` allows, and what was sent to it and logged. */
function unrecorded (accepts: (id: string) => boolean | Promise<boolean> = () => true) {
  const sent: Array<{ id: string, entry: AuditEntry, origin: AuditOrigin, repeated?: boolean }> = []
  const logged: string[] = []
  const audit = {
    async record (id: string, entry: AuditEntry, origin: AuditOrigin, _ms: number, repeated?: boolean) {
      sent.push({ id, entry, origin, repeated })
      if (!await accepts(id)) throw new Error('not stored')
    }
  }
  const log = pino({ level: 'trace' }, { write: (line: string) => { logged.push(line) } })
  const failures = new UnrecordedFailures(audit as AuditClient, log)
  const add = (id: string, stored = () => {}) =>
    failures.add(id, entry, request as unknown as FastifyRequest, stored)
  return { failures, add, sent, logged }
}

test('a failure is sent once, as one that may have been sent before, with its caller', async (t) => {
  const { add, sent } = unrecorded()
  add('a')
  await setImmediate()
  add('b')
  await setImmediate()
  const origin = { id: 'trace', headers: { ...kept, cookie: undefined } }
  t.match(sent, [{ id: 'a', entry, origin, repeated: true }, { id: 'b', repeated: true }])
  t.equal(sent.length, 2)
})

test('a failure that the register refuses does not delay the others', async (t) => {
  let refusals = 0
  const { failures, add, sent } = unrecorded((id) => id !== 'refused' || refusals++ > 0)
  for (const id of ['refused', 'a', 'b']) add(id)
  await failures.close()
  t.strictSame(sent.map(({ id }) => id), ['refused', 'a', 'b', 'refused'])
})

test('closing waits for work that may add a failure', async (t) => {
  const { failures, add, sent } = unrecorded()
  const [failing, succeeding] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  failures.waitFor(failing.promise.catch(() => add('failed')))
  failures.waitFor(succeeding.promise)
  const closed = failures.close()
  await sleep(10)
  t.strictSame(sent, [], 'closing waits for them')
  succeeding.resolve()
  failing.reject(new Error('refused'))
  await closed
  t.strictSame(sent.map(({ id }) => id), ['failed'])
})

test('a failure says that it is stored, and not before', async (t) => {
  let isThere = false
  const { failures, add, sent } = unrecorded(() => isThere)
  let isStored = false
  add('a', () => { isStored = true })
  while (sent.length < 2) await sleep(10)
  t.equal(isStored, false)
  isThere = true
  await failures.close()
  t.equal(isStored, true)
})

test('closing ends the wait before the next attempt', async (t) => {
  let isThere = false
  const { failures, add, sent } = unrecorded(() => isThere)
  add('a')
  // Each wait is longer than the one before
  while (sent.length < 5) await sleep(10)
  isThere = true
  const began = performance.now()
  await failures.close()
  t.equal(sent.length, 6)
  t.ok(performance.now() - began < 1_000, `${performance.now() - began} ms`)
})

test('at most 10,000 failures wait', async (t) => {
  const stored = Promise.withResolvers<boolean>()
  const { failures, add, sent, logged } = unrecorded(() => stored.promise)
  for (let i = 0; i < 10_001; i++) add(String(i))
  t.equal(logged.length, 1)
  t.match(JSON.parse(logged[0]!), { level: 50, id: '10000' })
  stored.resolve(true)
  await failures.close()
  t.equal(sent.length, 10_000)
})
