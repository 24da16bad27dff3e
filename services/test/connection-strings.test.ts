import { build } from 'esbuild'
import { MongoClient } from 'mongodb'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { test, type Test } from 'tap'
import { platformUrl } from '../../docker/platform-url.ts'

type Driver = Pick<typeof import('mongodb'), 'MongoClient'>

/** The driver as images have it. */
async function bundled (t: Test): Promise<Driver> {
  const outfile = join(t.testdir(), 'driver.cjs')
  await build({
    stdin: { contents: "module.exports = require('mongodb')", resolveDir: import.meta.dirname },
    bundle: true,
    platform: 'node',
    format: 'cjs',
    outfile,
    plugins: [platformUrl],
    logLevel: 'error'
  })
  return (await import(pathToFileURL(outfile).href)).default
}

/** What a driver reads of a connection string, or the class of error that it refuses it with. */
function read ({ MongoClient }: Driver, connection: string) {
  try {
    const { hosts, credentials, dbName, tls, replicaSet, retryWrites, maxIdleTimeMS, appName, authSource, readPreference, w, srvHost } = new MongoClient(connection).options as never as Record<string, any>
    const { username, password, source, mechanism } = credentials ?? {}
    return { hosts: hosts.map(String), username, password, source, mechanism, dbName, tls, replicaSet, retryWrites, maxIdleTimeMS, appName, authSource, readPreference: readPreference?.mode, w, srvHost }
  } catch (error) {
    return { refused: (error as Error).name }
  }
}

const taken = [
  'mongodb://127.0.0.1:27017/',
  'mongodb://localhost',
  'mongodb://[::1]:27017/?directConnection=true',
  'mongodb://a.example:1,b.example:2,c.example/patient?replicaSet=rs0&w=majority',
  'mongodb://name:secret@db.localhost:10255/?authSource=admin',
  'mongodb://n%40me:p%3A%2F%3F%23%5B%5D%40%25%C3%A4@db.localhost:10255/patient?AUTHMECHANISM=SCRAM-SHA-256&authsource=admin',
  'mongodb://account:aGVsbG8rd29ybGQvPT0%3D@account.mongo.cosmos.azure.com:10255/?ssl=true&replicaSet=globaldb&retrywrites=false&maxIdleTimeMS=120000&appName=@account@',
  'mongodb://account:aGVsbG8rd29ybGQ==@account.mongo.cosmos.azure.com:10255/?ssl=true&replicaSet=globaldb&retrywrites=false&maxIdleTimeMS=120000&appName=@account@',
  'mongodb://XN--BCHER-KVA.example,M\u00fcnchen.example/?tls=true&readPreference=secondary',
  'mongodb+srv://cluster.example/patient?retryWrites=false'
]
const refused = [
  '', 'mongodb://', 'mongodb:///patient', 'http://127.0.0.1/', 'mongodb://a:b:c/', 'mongodb://name:p%ZZ@db/', 'mongodb://na@me:secret@db/',
  'mongodb://db/?noSuchOption=1', 'mongodb://db/?w=', 'mongodb://db:99999/', 'mongodb://db/a b?c', 'mongodb+srv://a.example,b.example/', 'mongodb://db/?tls=maybe'
]

test('the driver in a bundle reads connection strings as it does from its package', async (t) => {
  const driver = await bundled(t)
  for (const connection of [...taken, ...refused]) t.strictSame(read(driver, connection), read({ MongoClient }, connection), connection)
  for (const connection of taken) t.notOk('refused' in read(driver, connection), connection)
})
