import { MongoClient } from 'mongodb'
import { pino } from 'pino'
import { test } from 'tap'
import { Type } from 'typebox'
import { loadSettings } from '../common/config.ts'
import { connectionString } from '../common/database.ts'
import { AppSecrets } from '../common/secrets/key-vault.ts'
import { loginIn, withCredentials } from '../rotation/connection-string.ts'

const COSMOS_OPTIONS = 'ssl=true&replicaSet=globaldb&retrywrites=false&maxIdleTimeMS=120000&appName=@account@'
const COSMOS_HOST = 'account.mongo.cosmos.azure.com:10255'

const accepted = [
  'mongodb://127.0.0.1:27017/',
  'mongodb://localhost',
  'mongodb://[::1]:27017/?directConnection=true',
  'mongodb://a.example:1,b.example:2,c.example/patient?replicaSet=rs0&w=majority',
  'mongodb://name:secret@db.localhost:10255/?authSource=admin',
  'mongodb://name:secret@db.localhost:10255/patient',
  'mongodb://n%40me:p%3A%2F%3F%23%5B%5D%40%25%C3%A4@db.localhost:10255/patient' +
    '?AUTHMECHANISM=SCRAM-SHA-256&authsource=admin',
  `mongodb://account:aGVsbG8rd29ybGQvPT0%3D@${COSMOS_HOST}/?${COSMOS_OPTIONS}`,
  `mongodb://account:aGVsbG8rd29ybGQ==@${COSMOS_HOST}/?${COSMOS_OPTIONS}`,
  'mongodb://XN--BCHER-KVA.example,M\u00fcnchen.example/?tls=true&readPreference=secondary',
  'mongodb+srv://cluster.example/patient?retryWrites=false'
]
const malformed = [
  'mongodb://', 'mongodb:///patient', 'http://127.0.0.1/', 'mongodb://name:p%ZZ@db/',
  'mongodb://na@me:secret@db/', 'mongodb://db/a b?c', 'mongodb+srv://a.example,b.example/'
]
const refusedByDriver = [
  'mongodb://a:b:c/', 'mongodb://db:99999/', 'mongodb://db/?noSuchOption=1', 'mongodb://db/?w=',
  'mongodb://db/?tls=maybe'
]

interface Options extends Record<string, unknown> {
  hosts: object[]
  credentials?: { username: string, password: string, source: string }
}

/** All that the driver reads in a connection string. */
function optionsOf (connection: string) {
  const { hosts, credentials, ...others } = new MongoClient(connection).options as unknown as Options
  const { dbName, tls, replicaSet, retryWrites, maxIdleTimeMS, appName, readPreference, w, srvHost } = others
  const options = { dbName, tls, replicaSet, retryWrites, maxIdleTimeMS, appName, readPreference, w, srvHost }
  return { ...options, hosts: hosts.map(String), login: credentials }
}

function setting (connection: string) {
  return loadSettings(Type.Object({ URI: Type.String({ format: 'mongodb-uri' }) }), { URI: connection }).URI
}

test('a setting takes the connection strings that the driver takes, no malformed ones', async (t) => {
  const refusal = { message: 'Settings: URI must be a MongoDB connection string' }
  for (const connection of accepted) t.equal(setting(connection), connection)
  for (const connection of malformed) {
    t.throws(() => new MongoClient(connection), connection)
    t.throws(() => setting(connection), refusal, connection)
  }
})

test('a service refuses to start with a connection string that the driver refuses', async (t) => {
  const open = (connection: string) => {
    const source = { 'a-connection': connection }
    const settings = { formats: { 'a-connection': 'mongodb-uri' }, source } as const
    return connectionString(new AppSecrets(settings, pino({ level: 'silent' })), 'a-connection')
  }
  const refusal = { name: 'SettingsError', message: 'Settings: A_CONNECTION cannot be used' }
  for (const connection of accepted) t.equal(open(connection).name, 'a-connection')
  for (const connection of [...refusedByDriver, ...malformed]) {
    t.throws(() => open(connection), refusal, connection)
  }
})

test('the rotation reads the login that the driver reads', async (t) => {
  for (const connection of accepted) {
    const { username, password, source } = optionsOf(connection).login ?? { username: '', password: '' }
    t.match(loginIn(connection), source ? { username, password, source } : { username, password }, connection)
  }
})

test('with other credentials, the driver reads all else as before', async (t) => {
  for (const connection of accepted) {
    const { login, ...others } = optionsOf(withCredentials(connection, 'n:@/?%', 'p:@/?%\u00e4'))
    const { login: _, ...before } = optionsOf(connection)
    t.strictSame(others, before, connection)
    t.match(login, { username: 'n:@/?%', password: 'p:@/?%\u00e4' }, connection)
  }
})

test('the keys of a Cosmos DB account are read as it lists them, with slashes', async (t) => {
  const listed = `mongodb://account:a/b+c/d==@${COSMOS_HOST}/?${COSMOS_OPTIONS}`
  t.match(loginIn(listed), { username: 'account', password: 'a/b+c/d==' })
  const other = withCredentials(listed, 'account', 'e/f==')
  t.match(optionsOf(other).login, { username: 'account', password: 'e/f==' })
})
