import type { FastifyBaseLogger } from 'fastify'
import t from 'tap'
import type { Database } from '#common/database.ts'
import { mongo } from '../../../common/test/mongo.ts'
import { resultOf, type StoredRecord } from '../../../common/audit-record.ts'
import { recordsReader } from '../audit-records.ts'
import { newId } from './envelopes.ts'

const { db } = await mongo(t)
const database = { ready: true, collection: (name: string) => db.collection(name) } as unknown as Database
const read = recordsReader(database, {} as FastifyBaseLogger)

const record = (id: string, operationId: string, createdDate: Date): StoredRecord => {
  const resource = { type: 'patient', id: 'patient-1', operation: 'update' }
  return { id, seq: 1, createdDate, operationId, sourceSystemName: 'patient', resource }
}

t.test('returns a record once that is stored again under its id, oldest records first', async (t) => {
  const operationId = newId()
  const [early, late, latest] = [1_000, 2_000, 3_000].map((ms) => new Date(ms)) as [Date, Date, Date]
  await db
    .collection('blocks')
    .insertMany([
      { records: [record('second', operationId, late), record('other', newId(), early)] },
      { records: [record('second', operationId, latest), record('first', operationId, early)] },
      { records: [record('first', operationId, early)] }
    ])
  const result = await read(operationId)
  t.match(result, {
    records: [
      { id: 'first', createdDate: early },
      { id: 'second', createdDate: late }
    ]
  })
  t.equal('records' in result && result.records.length, 2)
})

t.test('is unavailable without a connected register', async (t) => {
  const log = {} as FastifyBaseLogger
  t.same(await recordsReader(undefined, log)('any'), { unavailable: 'not connected' })
  t.same(await recordsReader({ ...database, ready: false } as Database, log)('any'), {
    unavailable: 'no response'
  })
})

t.test('names the result of an interaction', async (t) => {
  const attempt = record('id', newId(), new Date())
  t.equal(resultOf(attempt), 'attempt')
  t.equal(resultOf({ ...attempt, attemptOf: 'id' }), 'repeat')
  t.equal(resultOf({ ...attempt, attemptOf: 'id', outcome: 'failure' }), 'failure')
  t.equal(resultOf({ ...attempt, attemptOf: 'id', outcome: 'success', reconciled: true }), 'success found')
  t.equal(resultOf({ ...attempt, disclosed: [] }), 'nothing found')
  t.equal(resultOf({ ...attempt, disclosed: [{ id: 'id', version: '1' }] }), '1 disclosed')
})
