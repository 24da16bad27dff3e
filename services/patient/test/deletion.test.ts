import { test } from 'tap'
import { hasFailPoints } from '../../common/test/mongo.ts'
import { ada, observation, patient } from './app.ts'

const embeddedOnly = hasFailPoints ? {} : { skip: 'needs fail points' }

const withTests = async (t: Parameters<typeof patient>[0]) => {
  const running = await patient(t)
  const { headers: { location } } = await running.call('POST', '/patient', ada)
  for (let i = 0; i < 3; i++) await running.call('POST', `${location}/tests`, { observations: [observation] })
  return { ...running, path: location as string, deletion: running.app.deletion }
}

test('a deleted patient leaves a tombstone without health data, and no tests', async (t) => {
  const { call, path, stored } = await withTests(t)
  t.equal((await call('DELETE', path)).statusCode, 204)
  const { patients: [tombstone], tests } = await stored()
  t.same(Object.keys(tombstone!).sort(), ['_audit', '_deleted', '_finished', '_id', '_shardKey'])
  t.same(tests, [])
  for (const method of ['GET', 'DELETE'] as const) t.equal((await call(method, path)).statusCode, 404)
  t.equal((await call('PUT', path, ada)).statusCode, 404)
  t.equal((await call('POST', `${path}/tests`, { observations: [observation] })).statusCode, 404)
  t.same((await call('POST', '/patient/search', {})).json(), [])
})

test('the sweep finishes an interrupted deletion, which discloses nothing', embeddedOnly, async (t) => {
  const { call, path, stored, deletion, failCommand } = await withTests(t)
  const { headers: { location: test } } = await call('POST', `${path}/tests`, { observations: [observation] })
  await failCommand({ times: 1 }, { failCommands: ['delete'], errorCode: 13 })
  t.equal((await call('DELETE', path)).statusCode, 204)
  t.equal((await stored()).tests.length, 4)
  for (const url of [path, `${path}/tests`, test as string]) t.equal((await call('GET', url)).statusCode, 404)
  t.equal((await call('PATCH', test as string, { performer: 'x' })).statusCode, 404)

  await deletion.sweep()
  t.same((await stored()).tests, [])
})

test('the sweep forgets old tombstones and leaves patients alone', async (t) => {
  const { call, path, stored, deletion, db } = await withTests(t)
  const { headers: { location: other } } = await call('POST', '/patient', ada)
  await call('DELETE', path)
  await deletion.sweep()
  t.equal((await stored()).patients.length, 2)
  await db.collection('patients').updateOne({ _deleted: { $ne: null } }, { $set: { _deleted: new Date(0) } })
  await deletion.sweep()
  t.same((await stored()).patients.map(({ _id }) => `/patient/${_id}`), [other])
})

test('a deletion that is finished is not repeated by a sweep', async (t) => {
  const { call, path, deletion, db } = await withTests(t)
  await call('DELETE', path)
  const [, , id] = path.split('/') as [string, string, string]
  // Stands for what a repeated deletion would remove
  await db.collection<{ _id: string }>('tests').insertOne({ _id: 'x', _shardKey: id } as never)
  await deletion.sweep()
  t.equal(await db.collection('tests').countDocuments(), 1)
})
