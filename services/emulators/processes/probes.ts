import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { MongoClient } from 'mongodb'
import { StartError } from '../../cli/system/state.ts'

const HOST = '127.0.0.1'
const PING_MS = 4000

/** Whether this process could listen on `port` of the loopback address. */
export async function isFree (port: number) {
  const server = createServer()
  try {
    await once(server.listen(port, HOST), 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}

const FIRST_PORT = 20_000
const PORTS = 12_000
/** As many as one system needs, and a few. */
const BLOCK = 8

/**
 * Ports below those that systems give to outgoing connections, so that they are free again for a restart.
 * Systems that start at the same time have different process ids, and so do not choose the same ones. None is among those `taken`.
 */
export async function freePorts (taken: number[] = []): Promise<number[]> {
  // A step that has no divisor in common with the number of blocks comes by all of them
  for (let block = process.pid; ; block += 7) {
    const first = FIRST_PORT + (block * BLOCK) % PORTS
    const ports = Array.from({ length: BLOCK }, (_, i) => first + i)
    const free = await Promise.all(ports.map(isFree))
    if (free.every(Boolean) && !ports.some((port) => taken.includes(port))) return ports
  }
}

export async function answers (url: string) {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(1000) })
    await response.body?.cancel()
    return response.ok
  } catch {
    return false
  }
}

export async function accepts (port: number) {
  const socket = connect(port, HOST)
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/**
 * Sees whether the MongoDB server at `uri`, which the setting `name` gave, answers and lets `database` be used.
 *
 * @throws {StartError} that names hosts only: a connection string holds a password
 */
export async function ping (name: string, uri: string, database?: string) {
  let client: MongoClient | undefined
  const mongodb = await import('mongodb')
  const late = AbortSignal.timeout(PING_MS + 500)
  try {
    client = new mongodb.MongoClient(uri, { serverSelectionTimeoutMS: PING_MS, connectTimeoutMS: PING_MS, socketTimeoutMS: PING_MS })
    await Promise.race([
      client.db(database ?? 'admin').command(database === undefined ? { ping: 1 } : { count: 'blocks', limit: 1 }),
      once(late, 'abort').then(() => { throw new Error() })
    ])
  } catch (error) {
    const at = client?.options.srvHost ?? client?.options.hosts.join(', ')
    if (!at) throw new StartError(`${name} is not a connection string that the driver takes`)
    const refused = [13, 18, 8000].includes((error as { code: number }).code)
    throw new StartError(refused ? `${name}: ${at} refuses the user or the password` : `${name}: no MongoDB server answers at ${at}`)
  } finally {
    client?.close().catch(() => {})
  }
}
