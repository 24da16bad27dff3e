import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MongoClient } from 'mongodb'
import pino from 'pino'
import type { Test } from 'tap'
import { startDatabase, type RunningDatabase } from '../../emulators/mongodb/server.ts'

/** A database of its own for a test, on the server that MONGODB_URI names, else on an embedded one. */
export async function mongo (t: Test) {
  const connection = process.env.MONGODB_URI ?? (await embedded(t))
  const client = await new MongoClient(connection, { monitorCommands: true }).connect()
  const db = client.db(`test-${randomUUID()}`)
  t.teardown(async () => {
    await db.dropDatabase().catch(() => {})
    await client.close()
  })
  return {
    connection,
    db,
    /** Lets commands fail as mongod's fail points do; only the embedded server is sure to have them. */
    failCommand: (mode: object | string, data: object) =>
      client.db('admin').command({ configureFailPoint: 'failCommand', mode, data })
  }
}

export const hasFailPoints = process.env.MONGODB_URI === undefined

async function embedded (t: Test) {
  const database = await startEmbedded(t)
  return `mongodb://127.0.0.1:${database.port}/`
}

/** An embedded database that the test may close and start again on its data. */
export async function startEmbedded (
  t: Test,
  dataDir?: string,
  port?: number
): Promise<RunningDatabase & { dataDir: string }> {
  const directory = dataDir ?? (await mkdtemp(join(tmpdir(), 'database-')))
  const database = await startDatabase({ dataDir: directory, port, logger: pino({ level: 'silent' }) })
  t.teardown(async () => {
    await database.close()
    if (!dataDir) await rm(directory, { recursive: true, force: true })
  })
  return Object.assign(database, { dataDir: directory })
}
