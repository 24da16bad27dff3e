import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BSON, MongoClient, type Document } from 'mongodb'
import pino from 'pino'
import { startDatabase } from '../../emulators/mongodb/server.ts'

const OP_MSG = 2013

/**
 * What becomes of a command: `close` breaks the connection before the server has it, `lose` after the server
 * has carried it out and before its answer; a document is answered in the server's place.
 */
export type Fate = 'pass' | 'close' | 'lose' | { ok: 0 | 1, [field: string]: unknown }
export type Rule = (command: Document) => Fate | Promise<Fate>

/** Whether a wire can be put before the server: not with TLS, nor where hosts are to be looked up. */
export function isWirable ({ MONGODB_URI }: NodeJS.ProcessEnv) {
  if (MONGODB_URI === undefined) return true
  return MONGODB_URI.startsWith('mongodb://') && !new MongoClient(MONGODB_URI).options.tls
}

/** A wire between the services and their databases, which shows every command and can cut it off. */
export async function startWire () {
  const own = process.env.MONGODB_URI ? undefined : await startOwnDatabase()
  const uri = process.env.MONGODB_URI ?? own!.uri
  const { host, port } = new MongoClient(uri).options.hosts[0]!
  const sockets = new Set<Socket>()
  const commands: Document[] = []
  let rule: Rule = () => 'pass'

  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ host: host!, port: port!, noDelay: true })
    const end = () => [client, upstream].forEach((socket) => socket.destroy())
    for (const socket of [client, upstream]) {
      sockets.add(socket.on('close', end).on('error', end))
    }
    let loseAnswer = false
    upstream.on('data', (bytes) => {
      if (loseAnswer) end()
      else client.write(bytes)
    })

    async function pass (message: Buffer) {
      const command = commandOf(message)
      if (!command) return upstream.write(message)
      commands.push(command)
      const fate = await rule(command)
      if (fate === 'close') return end()
      if (typeof fate === 'object') return client.write(answerTo(message, fate))
      loseAnswer = fate === 'lose'
      upstream.write(message)
    }

    let received = Buffer.alloc(0)
    let passing: Promise<unknown> = Promise.resolve()
    client.on('data', (bytes: Buffer) => {
      received = Buffer.concat([received, bytes])
      while (received.length >= 4 && received.length >= received.readInt32LE()) {
        const message = received.subarray(0, received.readInt32LE())
        received = received.subarray(message.length)
        passing = passing.then(() => pass(message))
      }
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')

  const [, user = '', path, query] = /^mongodb:\/\/([^@/]*@)?[^/?]+(\/[^?]*)?(?:\?(.*))?$/.exec(uri)!
  const options = new URLSearchParams(query)
  options.set('directConnection', 'true')
  const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
  const wired = `mongodb://${user}${address}${path ?? '/'}?${options}`

  return {
    /** The way to the server beside the wire. */
    uri,
    settings: { PATIENT_DB_CONNECTION: wired, AUDIT_DB_CONNECTION: wired },
    /** All that came over it so far. */
    commands,

    /** Decides on every command from now on. */
    decide (next: Rule) { rule = next },
    passAll () { rule = () => 'pass' },

    async close () {
      server.close()
      for (const socket of sockets) socket.destroy()
      await own?.close()
    }
  }
}

/** The fates of the first commands that `isMeant`, one each; all others pass. */
export function inTurn (isMeant: (command: Document) => boolean, ...fates: Fate[]): Rule {
  return (command) => isMeant(command) ? fates.shift() ?? 'pass' : 'pass'
}

/** A command of this name on this collection. */
export const on = (name: string, collection: string) => (command: Document) => command[name] === collection

async function startOwnDatabase () {
  const dataDir = mkdtempSync(join(tmpdir(), 'database-'))
  const database = await startDatabase({ dataDir, logger: pino({ level: 'silent' }) })
  return {
    uri: `mongodb://127.0.0.1:${database.port}/`,
    async close () {
      await database.close()
      rmSync(dataDir, { recursive: true })
    }
  }
}

// https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/#op_msg
function commandOf (message: Buffer): Document | undefined {
  if (message.readInt32LE(12) !== OP_MSG) return undefined
  const command: Document = {}
  let at = 20
  while (at < message.length) {
    const start = at + 1
    const end = start + message.readInt32LE(start)
    if (message[at] === 0) {
      Object.assign(command, documentsIn(message.subarray(start, end))[0])
    } else {
      const nameEnd = message.indexOf(0, start + 4)
      command[message.toString('utf8', start + 4, nameEnd)] = documentsIn(message.subarray(nameEnd + 1, end))
    }
    at = end
  }
  return command
}

function documentsIn (bytes: Buffer) {
  const documents: Document[] = []
  for (let at = 0; at < bytes.length; at += bytes.readInt32LE(at)) {
    documents.push(BSON.deserialize(bytes.subarray(at, at + bytes.readInt32LE(at))))
  }
  return documents
}

function answerTo (message: Buffer, answer: Document) {
  const document = BSON.serialize(answer)
  const head = Buffer.alloc(21)
  head.writeInt32LE(head.length + document.length, 0)
  head.writeInt32LE(message.readInt32LE(4), 8)
  head.writeInt32LE(OP_MSG, 12)
  return Buffer.concat([head, document])
}
