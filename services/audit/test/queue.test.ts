import pino from 'pino'
import { test } from 'tap'
import type { Database } from '#common/database.ts'
import { RecordQueue, type NewRecord } from '../queue.ts'
import { Register, type Block } from '../register.ts'
import { record } from './app.ts'

const newRecord = (id: number) =>
  ({ ...record(), id: String(id), createdDate: new Date() }) as unknown as NewRecord
const busy = { code: 'REGISTER_BUSY' }

/** Adds a record for which nobody waits: it expires when other tests run. */
function add (queue: RecordQueue, id: number, bytes: number) {
  queue.add(newRecord(id), false, bytes).stored.promise.catch(() => {})
}

test('at most 10,000 records wait', async (t) => {
  const queue = new RecordQueue()
  for (let i = 0; i < 10_000; i++) add(queue, i, 1)
  t.throws(() => add(queue, 10_000, 1), busy)
  t.equal(queue.takeBlock().length, 100)
  for (let i = 0; i < 100; i++) add(queue, 10_001 + i, 1)
  t.throws(() => add(queue, 10_101, 1), busy)
})

test('at most 32 MiB wait', async (t) => {
  const queue = new RecordQueue()
  for (let i = 0; i < 32; i++) add(queue, i, 2 ** 20)
  t.throws(() => add(queue, 32, 1), busy)
  t.equal(queue.takeBlock().length, 1)
  add(queue, 33, 2 ** 20)
  t.throws(() => add(queue, 34, 1), busy)
})

test('closing waits until the queue is stored, and later records are refused', async (t) => {
  const stored: Block[] = []
  const begun = Promise.withResolvers<void>()
  const released = Promise.withResolvers<void>()
  const collection = {
    async insertOne (block: Block) {
      begun.resolve()
      await released.promise
      stored.push(block)
    }
  }
  const database = {
    run: (work: () => Promise<unknown>) => work(),
    insertOnce: async () => {},
    collection: () => collection
  }
  const register = new Register(database as unknown as Database, pino({ level: 'silent' }))
  const receipts = [register.append(record() as never, 'one'), register.append(record() as never, 'two')]
  await begun.promise
  receipts.push(register.append(record() as never, 'three'))
  let isClosed = false
  const closed = register.close().then(() => { isClosed = true })
  await t.rejects(register.append(record() as never, 'four'), busy)
  t.notOk(isClosed)
  released.resolve()
  await closed
  const operations = stored.flatMap(({ records }) => records.map(({ operationId }) => operationId))
  t.strictSame(operations, ['one', 'two', 'three'])
  await Promise.all(receipts)
})
