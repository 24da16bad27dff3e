import { once } from 'node:events'
import { test } from 'tap'
import { mongo } from '../../../common/test/mongo.ts'
import { audit, hostKey, record } from '../app.ts'
import { startReplica as start } from '../process.ts'
import { checkLog, sequenced } from './log.ts'

const ROUNDS = process.env.FULL ? 5 : 2

test('replicas that are killed under load leave one log with every record once', async (t) => {
  const database = await mongo(t)
  const { db } = database
  const acknowledged = new Set<string>()
  const replicas = await Promise.all([1, 2, 3].map(() => start(t, database)))
  for (let round = 0; round < ROUNDS; round++) {
    const killed = replicas[round % replicas.length]!
    // Killed at whatever step it is when so many records are acknowledged
    const target = acknowledged.size + 200 + round * 37
    const load = replicas.map(({ url }) => post(url, acknowledged, target))
    await Promise.race(load)
    killed.process.kill('SIGKILL')
    await Promise.all(load)
    replicas[round % replicas.length] = await start(t, database)
  }
  for (const { process } of replicas) {
    process.kill('SIGINT')
    await once(process, 'exit')
  }
  const blocks = await db.collection('blocks').find().toArray()
  const stored = blocks.flatMap(({ records }) => records.map(({ id }: { id: string }) => id))
  const { app } = await audit(t, database)
  await sequenced(db, stored.length)
  await app.close()
  const { ids } = await checkLog(t, db)
  t.equal(ids.length, stored.length)
  t.same(new Set(ids), new Set(stored))
  t.same([...acknowledged].filter((id) => !ids.includes(id)), [])
})

/** Posts records until `target` are acknowledged by all replicas together, or this one ends. */
async function post (url: string, acknowledged: Set<string>, target: number) {
  const client = async () => {
    while (acknowledged.size < target) {
      const response = await fetch(`${url}/audit`, {
        method: 'POST',
        headers: { 'x-functions-key': hostKey, 'content-type': 'application/json' },
        body: JSON.stringify(record())
      }).catch(() => undefined)
      if (!response) return
      const body = await response.json().catch(() => undefined) as { id: string } | undefined
      if (response.status === 201 && body) acknowledged.add(body.id)
    }
  }
  await Promise.all(Array.from({ length: 8 }, client))
}
