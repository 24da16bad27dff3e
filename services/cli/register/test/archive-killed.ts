import { MongoClient } from 'mongodb'
import { archive } from '../archive/archive.ts'

// Archives, and kills itself before the given step
const [connection, database, dir, wanted] = process.argv.slice(2) as [string, string, string, string]

const client = await new MongoClient(connection).connect()
let step = 0
await archive(client.db(database), {
  before: new Date(Date.now() - 3_600_000),
  dir,
  onStep () {
    if (++step === Number(wanted)) process.kill(process.pid, 'SIGKILL')
  }
})
process.stdout.write(String(step))
await client.close()
