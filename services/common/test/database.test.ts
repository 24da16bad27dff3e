import { test } from 'tap'
import { audit } from '../../audit/test/app.ts'
import { mongo } from './mongo.ts'
import { proxy } from './proxy.ts'

test('a write whose connection breaks while it is being sent is repeated', async (t) => {
  const database = await mongo(t)
  const network = await proxy(t, database.connection)
  const { app, db, logs } = await audit(t, { ...database, connection: network.connection })
  await app.database.connected

  network.stall('insert')
  // More than the buffers of a connection take
  await app.database.insertOnce('large', { _id: 'large', text: 'x'.repeat(15_000_000) })
  t.ok(network.stalled())
  t.match(logs(), /retrying a database operation/)
  t.equal(await db.collection('large').countDocuments(), 1)
})
