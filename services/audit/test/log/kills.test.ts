import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { test, type Test } from 'tap'
import { mongo } from '../../../common/test/mongo.ts'
import { audit, hostKey, logKey, queryKey, record } from '../app.ts'
import { checkLog, sequenced } from './log.ts'

const MAIN = fileURLToPath(new URL('../../main.ts', import.meta.url))
const ROUNDS = 5

interface Replica {
  process: ChildProcess
  url: string
}

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

async function start (t: Test, { connection, db }: Awaited<ReturnType<typeof mongo>>): Promise<Replica> {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  await once(server.close(), 'close')
  const child = spawn(process.execPath, [MAIN], {
    env: {
      PORT: String(port),
      HOST: '127.0.0.1',
      ALLOWED_CALLERS: '127.0.0.1/32',
      CALLER_ADDRESS: 'peer',
      AUDIT_HOST_KEY: hostKey,
      AUDIT_QUERY_KEY: queryKey,
      AUDIT_LOG_KEY: logKey,
      AUDIT_DB_CONNECTION: connection,
      DATABASE_NAME: db.databaseName
    },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => child.kill('SIGKILL'))
  for await (const line of createInterface(child.stdout!)) {
    if (line.includes('"msg":"listening"')) break
  }
  child.stdout!.resume()
  return { process: child, url: `http://127.0.0.1:${port}` }
}

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
