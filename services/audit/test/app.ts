import { EventEmitter, once } from 'node:events'
import type { Test } from 'tap'
import { mongo } from '../../common/test/mongo.ts'
import { buildApp } from '../app.ts'
import { loadConfig } from '../config.ts'
import type { Block } from '../register.ts'

export const hostKey = 'audit-host-key-of-the-test'
export const queryKey = 'audit-query-key-of-the-test'
/** The seed of the log's key. */
export const logKey = Buffer.alloc(32, 'k').toString('base64url')

/** The settings of an audit service, as its process gets them. */
export const settingsOf = (connection: string, databaseName: string) => ({
  ALLOWED_CALLERS: '127.0.0.1/32',
  CALLER_ADDRESS: 'peer',
  AUDIT_HOST_KEY: hostKey,
  AUDIT_QUERY_KEY: queryKey,
  AUDIT_LOG_KEY: logKey,
  AUDIT_DB_CONNECTION: connection,
  DATABASE_NAME: databaseName
})

export const configOf = (connection: string, databaseName: string) =>
  loadConfig({ LOG_LEVEL: 'trace', ...settingsOf(connection, databaseName) })

/** The audit service with a database of its own. */
export async function audit (t: Test, database?: Awaited<ReturnType<typeof mongo>>) {
  const { connection, db, failCommand } = database ?? await mongo(t)
  const lines: string[] = []
  const output = new EventEmitter()
  const write = (line: string) => {
    lines.push(line)
    output.emit('line')
  }
  const app = await buildApp(configOf(connection, db.databaseName), { logStream: { write } })
  t.teardown(() => app.close())
  await app.ready()

  return {
    app,
    db,
    failCommand,
    logs: () => lines.join(''),
    /** Waits until a line that contains `text` is logged. */
    async logged (text: string) {
      while (!lines.join('').includes(text)) await once(output, 'line')
    },
    post: (payload: object, headers: Record<string, string> = {}, url = '/audit') =>
      app.inject({ method: 'POST', url, payload, headers: { 'x-functions-key': hostKey, ...headers } }),
    get: (url: string, headers: Record<string, string> = {}) =>
      app.inject({
        url,
        headers: { 'x-functions-key': queryKey, 'x-audit-actor': 'an-auditor', ...headers }
      }),
    blocks: () => db.collection<Block>('blocks').find().sort({ chain: 1, firstSeq: 1 }).toArray()
  }
}

export const record = (more: object = {}) => ({
  sourceSystemName: 'test',
  resource: { type: 'patient', id: 'an-id', operation: 'load' },
  ...more
})
