import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deserialize, serialize } from 'bson'
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
  const client = new MongoClient(
    `mongodb://127.0.0.1:${database.port}`, { writeConcern: durable, ...options }
  )
  t.teardown(async () => {
    await client.close()
    await database.close()
  })
  const db = client.db('test')
  return { database, client, db, collection: db.collection('things'), dataDir }
}

interface ServerError {
  code: number,
  codeName?: string,
  message: string,
  keyPattern?: Document,
  keyValue?: Document,
  errorLabels?: string[]
}

/** The error that a server answers. */
export async function failure (run: Promise<unknown>): Promise<ServerError> {
  try {
    await run
  } catch (error) {
    return error as ServerError
  }
  throw new Error('no error came')
}

const { PATH, NODE_COMPILE_CACHE } = process.env
const main = join(import.meta.dirname, '..', 'main.ts')

export interface Running {
  port: number,
  child: ReturnType<typeof spawn>,
  out: string[],
  exit: Promise<number | null>,
  err: () => string
}

/** The database as a process of its own, open to everybody, once it listens or has ended. */
export async function run (t: Test, env: Record<string, string>): Promise<Running> {
  const child = spawn(
    process.execPath, [main],
    { env: { PATH, NODE_COMPILE_CACHE, PORT: '0', AUTHORIZATION: 'disabled', ...env } }
  )
  t.teardown(() => child.kill('SIGKILL'))
  const out: string[] = []
  let err = ''
  child.stderr.on('data', (piece) => { err += piece })
  const exit = once(child, 'close').then(([code]) => code as number | null)
  const running: Running = { port: 0, child, out, exit, err: () => err }
  await new Promise<void>((resolve) => {
    exit.then(() => resolve())
    child.stdout.on('data', (piece: Buffer) => {
      for (const line of piece.toString().trim().split('\n')) out.push(line)
      const listening = out.map((line) => JSON.parse(line)).find(
        ({ msg }) => msg.startsWith('database listening')
      )
      if (listening) {
        running.port = listening.port
        resolve()
      }
    })
  })
  return running
}

export function opMsg (body: Document, flags = 0, sections: Buffer[] = []): Buffer {
  const doc = Buffer.concat([Buffer.from([0]), serialize(body), ...sections])
  const checksum = flags & 1 ? Buffer.alloc(4) : Buffer.alloc(0)
  const header = Buffer.alloc(20)
  header.writeInt32LE(20 + doc.length + checksum.length, 0)
  header.writeInt32LE(7, 4)
  header.writeInt32LE(2013, 12)
  header.writeUInt32LE(flags, 16)
  return Buffer.concat([header, doc, checksum])
}

/** What one raw connection answers until it is closed or has answered `count` times. */
export async function exchange (port: number, bytes: Buffer, count = 1): Promise<Document[] | 'closed'> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(bytes)
  let received = Buffer.alloc(0)
  const replies: Document[] = []
  return new Promise((resolve) => {
    socket.on('close', () => resolve('closed'))
    socket.on('data', (piece) => {
      received = Buffer.concat([received, piece as Buffer])
      while (received.length >= 4 && received.length >= received.readInt32LE(0)) {
        const size = received.readInt32LE(0)
        replies.push(
          {
            responseTo: received.readInt32LE(8),
            opcode: received.readInt32LE(12),
            ...deserialize(received.subarray(received.readInt32LE(12) === 1 ? 36 : 21, size))
          }
        )
        received = received.subarray(size)
      }
      if (replies.length >= count) {
        resolve(replies)
        socket.destroy()
      }
    })
  })
}
