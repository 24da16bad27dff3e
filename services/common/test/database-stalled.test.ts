import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { audit } from '../../audit/test/app.ts'
import { mongo } from './mongo.ts'

/** The driver checks a server at most so often. */
const MIN_CHECK_MS = 500

/** An Audit service, and how to break all of its connections: each is destroyed before it says so. */
async function start (t: Test) {
  const sockets = new Set<Socket>()
  const add = (message: unknown) => { sockets.add((message as { socket: Socket }).socket) }
  const database = await mongo(t)
  subscribe('net.client.socket', add)
  t.teardown(() => unsubscribe('net.client.socket', add))
  const { app, logs } = await audit(t, database)
  await app.database.connected
  const find = () => app.database.collection('any').findOne({})
  const breakAll = () => { for (const socket of sockets) socket.destroy() }
  return { app, logs, find, breakAll }
}

t.test('a database is reached again after all connections broke while it was checked', async (t) => {
  const { app, logs, find, breakAll } = await start(t)
  const some = (operation: () => Promise<unknown>) => Promise.allSettled(Array.from({ length: 8 }, operation))
  await some(find)
  await sleep(MIN_CHECK_MS + 100)

  // The connections of operations close before that of the checks; a new operation asks for a check meanwhile
  const broken = some(() => find().catch(find))
  await new Promise((resolve) => { process.nextTick(resolve) })
  breakAll()
  for (const { status } of await broken) t.equal(status, 'rejected')

  t.match(await app.database.run(find).catch(({ code }) => code), 'DATABASE_UNAVAILABLE')
  while (!logs().includes('the driver stopped checking the database')) await sleep(100)
  while (await find().then(() => false, () => true)) await sleep(100)
})

// After half a minute; the driver alone would wait for ever
t.test('an operation on a connection that just broke ends', async (t) => {
  const { app, find, breakAll } = await start(t)
  await find()
  breakAll()
  await t.rejects(app.database.run(find), { code: 'DATABASE_UNAVAILABLE', cause: { message: 'no answer' } })
})
