import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { MongoClient } from 'mongodb'
import type { Collection, Document } from 'mongodb'
import { pino } from 'pino'
import { startDatabase } from '../server.ts'

/*
 * What one database process does on this machine: `node services/emulators/mongodb/bench/bench.ts`.
 * The server runs in a process of its own, as it does under `npm start`.
 */
function patient (i: number): Document {
  return {
    _id: `patient-${i.toString(36).padStart(8, '0')}`,
    _shardKey: `patient-${i.toString(36).padStart(8, '0')}`,
    _audit: `audit-${i}`,
    _lastName: `name${(i * 7919) % 100003}`,
    firstName: `First${i % 1000}`,
    lastName: `Name${(i * 7919) % 100003}`,
    birthDate: new Date(315532800000 + i * 86400000 % 1e12),
    insurance: { number: `ins-${i}`, company: `company ${i % 50}` },
    address: {
      street: `Street ${i % 5000}`, city: `City ${i % 300}`, zip: `${10000 + i % 9999}`, country: 'NL'
    },
    phone: `+31 6 ${i}`,
    email: `p${i}@example.org`,
    notes: 'x'.repeat(120),
    version: i % 10
  }
}

const indexes = [
  { _lastName: 1, _id: 1 }, { firstName: 1, _lastName: 1, _id: 1 }, { birthDate: 1 },
  { 'insurance.number': 1 }, { 'insurance.company': 1, _id: 1 },
  { 'address.city': 1, _lastName: 1, _id: 1 }, { 'address.zip': 1 },
  { phone: 1 }, { email: 1 }, { _shardKey: 1, _lastName: 1, _id: 1 }
] as const

async function rate (
  name: string, connections: number, total: number, run: (i: number) => Promise<unknown>
): Promise<void> {
  let next = 0
  const started = performance.now()
  await Promise.all(Array.from({ length: connections }, async () => {
    while (next < total) await run(next++)
  }))
  const seconds = (performance.now() - started) / 1000
  console.log(`${name}: ${Math.round(total / seconds)}/s`)
}

async function main (): Promise<void> {
  const dataDir = mkdtempSync(join(tmpdir(), 'bench-'))
  const server = fork(import.meta.filename, ['serve', dataDir])
  const [{ port }] = await once(server, 'message') as [{ port: number }]
  const commits = async (): Promise<number> => {
    server.send('commits')
    const [message] = await once(server, 'message')
    return message.commits
  }
  const client = new MongoClient(`mongodb://127.0.0.1:${port}`, {
    maxPoolSize: 16, writeConcern: { w: 'majority', journal: true }
  })
  const collection = client.db('bench').collection<Document>('patients')
  for (const key of indexes) await collection.createIndex({ ...key })

  const before = await commits()
  await rate('insertOne, 10 indexes, 1 connection', 1, 2000, (i) => collection.insertOne(patient(i)))
  await rate('insertOne, 10 indexes, 16 connections', 16, 10000,
    (i) => collection.insertOne(patient(i + 2000)))
  console.log(`  commits: ${await commits() - before} for 12000 inserts`)
  const ids = Array.from({ length: 12000 }, (_, i) => patient(i)._id)
  const filter = (i: number): Document => ({ _id: ids[i % 12000], _shardKey: ids[i % 12000] })
  await rate('findOne by _id and _shardKey, 16 connections', 16, 20000,
    (i) => collection.findOne(filter(i * 31)))
  const version = (i: number): Document => ({ ...filter(i), _audit: `audit-${i}` })
  await rate('updateOne, 16 connections', 16, 10000,
    (i) => collection.updateOne(version(i), { $set: { version: 11 }, $inc: { n: 1 } }))
  await rate('replaceOne, 16 connections', 16, 10000,
    (i) => collection.replaceOne(version(i), { ...patient(i), phone: 'new' }))
  await rate('find by city, sort, limit 101, 16 connections', 16, 3000, (i) => (
    collection.find({ 'address.city': `City ${i % 300}` }).sort({ _lastName: 1, _id: 1 }).limit(101).toArray()
  ))

  const records = client.db('bench').collection<Document>('records')
  for (const key of ['records.id', 'records.resource.id', 'records.disclosed.id']) {
    await records.createIndex({ [key]: 1 })
  }
  const record = (i: number, n: number): Document => ({
    id: `r${i}-${n}`, resource: { id: `p${n}` }, disclosed: [{ id: `d${n}` }, { id: `e${i}` }], at: new Date()
  })
  await rate('insertOne with 100 records, 3 multikey indexes, 16 connections', 16, 500,
    (i) => records.insertOne({ records: Array.from({ length: 100 }, (_, n) => record(i, n)) }))

  await pages(client)
  await client.close()
  server.kill()
  if (process.env.KEEP === undefined) rmSync(dataDir, { recursive: true, force: true })
  else console.log(dataDir)
}

/** A page of 100 of few and of many patients, measured turn and turn about. */
async function pages (client: MongoClient): Promise<void> {
  const sizes = [1000, 100000]
  const collections: Array<Collection<Document>> = []
  for (const size of sizes) {
    const collection = client.db('bench').collection<Document>(`patients${size}`)
    await collection.createIndex({ _lastName: 1, _id: 1 })
    for (let i = 0; i < size; i += 5000) {
      await collection.insertMany(Array.from({ length: Math.min(5000, size - i) }, (_, n) => patient(i + n)))
    }
    collections.push(collection)
  }
  for (const direction of [1, -1] as const) {
    const times: number[][] = [[], []]
    for (let round = 0; round < 300; round++) {
      for (const [i, collection] of collections.entries()) {
        const started = performance.now()
        await collection.find({}).sort({ _lastName: direction, _id: direction }).limit(100).toArray()
        times[i]!.push(performance.now() - started)
      }
    }
    const medians = times.map((list) => list.sort((a, b) => a - b)[list.length / 2]!)
    const figures = medians.map((m, i) => `${m.toFixed(2)} ms of ${sizes[i]}`).join(', ')
    const ratio = (medians[1]! / medians[0]!).toFixed(2)
    console.log(`page of 100, ${direction > 0 ? 'ascending' : 'descending'}: ${figures}, ratio ${ratio}`)
  }
}

if (process.argv[2] === 'serve') {
  const database = await startDatabase({ dataDir: process.argv[3]!, logger: pino({ level: 'warn' }) })
  process.send!({ port: database.port })
  process.on('message', () => process.send!({ commits: database.commits }))
  process.on('SIGINT', () => process.exit(0))
} else await main()
