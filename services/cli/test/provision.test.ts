import type { SecretClient } from '@azure/keyvault-secrets'
import { MongoClient } from 'mongodb'
import t from 'tap'
import { startEmbedded } from '../../common/test/mongo.ts'
import { loginIn } from '../../rotation/connection-string.ts'
import { provision } from '../system/provision.ts'

/** A vault that keeps the newest version of each secret, and the names of the secrets that were set. */
function vault () {
  const secrets = new Map<string, string>()
  const set: string[] = []
  const client = {
    async getSecret (name: string) {
      if (!secrets.has(name)) throw Object.assign(new Error('SecretNotFound'), { statusCode: 404 })
      return { value: secrets.get(name) }
    },
    async setSecret (name: string, value: string) {
      set.push(name)
      secrets.set(name, value)
    }
  } as unknown as SecretClient
  return { client, set, read: (name: string) => secrets.get(name)! }
}

t.test('a later start keeps keys and users, and follows the server to another port', async (t) => {
  const server = await startEmbedded(t)
  const { client, set, read } = vault()
  const wanted = (port: number) => ({
    patient: { database: 'patient', server: { address: `127.0.0.1:${port}` } },
    audit: { database: 'audit', server: { address: `127.0.0.1:${port}` } }
  })
  const keys = await provision(client, wanted(server.port))
  const before = ['patient-db-connection', 'audit-db-connection', 'audit-db-viewer-connection'].map(read)
  t.equal(read('audit-db-admin-connection'), read('patient-db-admin-connection'))
  t.strictSame(await provision(client, wanted(server.port)), keys)
  t.strictSame(set, [...new Set(set)], 'nothing is set twice')

  await server.close()
  const moved = await startEmbedded(t, server.dataDir)
  t.strictSame(await provision(client, wanted(moved.port)), keys)
  const after = ['patient-db-connection', 'audit-db-connection', 'audit-db-viewer-connection'].map(read)
  t.strictSame(after.map(loginIn), before.map(loginIn))
  for (const connection of after) {
    t.match(connection, `@127.0.0.1:${moved.port}/`)
    const user = await new MongoClient(connection).connect()
    await user.close()
  }
})

t.test('a server whose users have other passwords is refused', async (t) => {
  const server = { address: `127.0.0.1:${(await startEmbedded(t)).port}` }
  const wanted = { patient: { database: 'patient', server }, audit: { database: 'audit', server } }
  await provision(vault().client, wanted)
  await t.rejects(provision(vault().client, wanted), { message: /set up with another vault/ })
})
