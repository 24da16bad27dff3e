import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Collection, Db, Document, MongoClientOptions } from 'mongodb'
import { MongoClient } from 'mongodb'
import { pino } from 'pino'
import type { Test } from 'tap'
import type { RunningDatabase } from '../server.ts'
import { startDatabase } from '../server.ts'

export function dataDirectory (t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'database-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

export interface Started {
  database: RunningDatabase
  client: MongoClient
  db: Db
  collection: Collection<Document>
  dataDir: string
}

export const durable = { w: 'majority', journal: true } as const

/** A database of its own for one test, and the driver on it. */
export async function start (t: Test, options: MongoClientOptions = {}): Promise<Started> {
  const dataDir = dataDirectory(t)
  const database = await startDatabase({ dataDir, logger: pino({ level: 'silent' }) })
  const client = new MongoClient(`mongodb://127.0.0.1:${database.port}`, { writeConcern: durable, ...options })
  t.teardown(async () => {
    await client.close()
    await database.close()
  })
  const db = client.db('test')
  return { database, client, db, collection: db.collection('things'), dataDir }
}

export interface ServerError { code: number, codeName?: string, message: string, keyPattern?: Document, keyValue?: Document, errorLabels?: string[] }

/** The error that a server answers. */
export async function failure (run: Promise<unknown>): Promise<ServerError> {
  try {
    await run
  } catch (error) {
    return error as ServerError
  }
  throw new Error('no error came')
}
