import { test } from 'tap'
import { createClient, fetchTokenAhead } from '../database-client.ts'
import { usesTokens } from '../database-mechanism.ts'

const CLUSTER = 'mongodb://a-client-id@fc-1.global.mongocluster.cosmos.azure.com:10260'
const TOKENS = 'authMechanism=MONGODB-OIDC'

test('a connection string chooses tokens by its mechanism', async (t) => {
  const options = [TOKENS, 'AUTHMECHANISM=mongodb-oidc', 'authMechanism=MONGODB%2DOIDC', 'authMechanism=OIDC']
  for (const option of options) {
    const connection = `${CLUSTER}/?tls=true&${option}`
    t.ok(usesTokens(connection), option)
    t.equal(createClient(connection).options.credentials?.mechanism, 'MONGODB-OIDC', option)
  }
  for (const connection of [
    'mongodb://127.0.0.1/', 'mongodb://name:a/b==@db/', 'mongodb://name:secret@oidc.example/oidc?appName=oidc',
    'mongodb://name:secret@db/?authMechanism=SCRAM-SHA-256', 'not a connection string'
  ]) t.notOk(usesTokens(connection), connection)
})

test('other connection strings are opened as they are', async (t) => {
  const client = createClient('mongodb://name:secret@db/', { appName: 'test' })
  t.match(client.options, { appName: 'test', credentials: { username: 'name', password: 'secret' } })
  t.equal(createClient('mongodb://db/').options.credentials, undefined)
  t.equal(await fetchTokenAhead(client), Infinity)
})

test('tokens are sent to Azure DocumentDB by TLS, and to this machine', async (t) => {
  t.throws(() => createClient(`${CLUSTER}/?${TOKENS}`), /needs tls=true/)
  t.throws(() => createClient(`mongodb://127.0.0.1,db.example/?${TOKENS}`), /needs tls=true/)
  for (const host of ['127.0.0.1:9', 'localhost:9', '[::1]:9']) createClient(`mongodb://${host}/?${TOKENS}`)
  const suffix = 'mongocluster.cosmos.azure.com'
  for (const host of ['db.example', `${suffix}.example`, `x${suffix}`, 'cosmos.azure.com']) {
    const client = createClient(`mongodb://${host}/?tls=true&${TOKENS}`)
    await t.rejects(client.connect(), { message: /is not valid for OIDC/ }, host)
  }
})

test('a connection string cannot change the source of tokens, nor the hosts that get them', async (t) => {
  const property = (text: string) => `${CLUSTER}/?tls=true&${TOKENS}&authMechanismProperties=${text}`
  const { credentials } = createClient(property('TOKEN_RESOURCE:x')).options
  t.match(credentials!.mechanismProperties, { OIDC_CALLBACK: Function, ALLOWED_HOSTS: Array })
  t.throws(() => createClient(property('ENVIRONMENT:azure,TOKEN_RESOURCE:x')))
  t.throws(() => createClient(property('ALLOWED_HOSTS:x')))
  t.throws(() => createClient(`mongodb://a:b@127.0.0.1/?${TOKENS}`))
})
