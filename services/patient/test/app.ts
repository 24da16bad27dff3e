import { randomBytes } from 'node:crypto'
import type { Db, Document } from 'mongodb'
import type { Test } from 'tap'
import { audit, hostKey as auditHostKey } from '../../audit/test/app.ts'
import { mongo } from '../../common/test/mongo.ts'
import { proxy } from '../../common/test/proxy.ts'
import { buildApp } from '../app.ts'
import { loadConfig } from '../config.ts'

const hostKey = 'patient-host-key-of-the-test'

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

export const settings = {
  LOG_LEVEL: 'trace',
  ALLOWED_CALLERS: '127.0.0.1/32',
  CALLER_ADDRESS: 'peer',
  PATIENT_HOST_KEY: hostKey,
  PATIENT_DATA_KEY: randomBytes(32).toString('base64url'),
  AUDIT_HOST_KEY: auditHostKey,
  AUDIT_URL: 'http://127.0.0.1:9',
  PATIENT_DB_CONNECTION: 'mongodb://127.0.0.1:9/'
}

/**
 * The patient service with a real audit service, each with a database of its own. `before` fills its database
 * before it starts; `env` are settings beside the usual ones.
 */
export async function patient (
  t: Test, before?: (db: Db) => Promise<unknown>, env: NodeJS.ProcessEnv = {}
) {
  const register = await audit(t)
  const auditUrl = await register.app.listen({ host: '127.0.0.1', port: 0 })
  const { connection, db, failCommand } = await mongo(t)
  const network = await proxy(t, connection)
  const lines: string[] = []
  await before?.(db)
  const start = async () => {
    const app = await buildApp(loadConfig({
      ...settings,
      AUDIT_URL: auditUrl,
      PATIENT_DB_CONNECTION: network.connection,
      DATABASE_NAME: db.databaseName,
      ...env
    }), { logStream: { write: (line: string) => { lines.push(line) } } })
    await app.ready()
    await app.database.connected
    return app
  }
  let app = await start()
  t.teardown(() => app.close())

  return {
    app,
    async restart () {
      await app.close()
      app = await start()
    },
    db,
    network,
    failCommand,
    /** Lets commands of the audit service fail; of its inserts only those of blocks. */
    failAudit (mode: object | string, data: Document) {
      const ofBlocks = data.failCommands?.includes('insert')
      const namespace = `${register.db.databaseName}.blocks`
      return register.failCommand(mode, ofBlocks ? { namespace, ...data } : data)
    },
    logs: () => lines.join('') + register.logs(),
    call (method: Method, url: string, payload?: object, headers: Record<string, string> = {}) {
      const sent = { 'x-functions-key': hostKey, 'x-audit-actor': 'a-subscription', ...headers }
      return app.inject({ method, url, payload, headers: sent })
    },
    records: async () => (await register.blocks()).flatMap(({ records }) => records),
    stored: async () => ({
      patients: await db.collection('patients').find().sort({ _id: 1 }).toArray(),
      tests: await db.collection('tests').find().sort({ _id: 1 }).toArray(),
      versions: await db.collection('versions').find().sort({ _id: 1 }).toArray(),
      transfers: await db.collection('transfers').find().sort({ _id: 1 }).toArray(),
      claims: await db.collection('claims').find().sort({ _id: 1 }).toArray()
    })
  }
}

export const ada = {
  firstName: 'Augusta Ada',
  lastName: 'Lovelace',
  gender: 'female',
  dateOfBirth: '1915-12-10',
  postCode: 'W1S4'
}
export const observation = {
  id: '1',
  code: 'hb',
  measurement: '8.2',
  interpretation: 'normal',
  issued: '2024-02-29T10:00:00Z',
  status: 'final'
}
export const unknownId = '00000000-0000-4000-8000-000000000000'
