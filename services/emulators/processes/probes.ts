import { randomInt } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { MongoClient as Client } from 'mongodb'
import { StartError } from './start-error.ts'

const HOST = '127.0.0.1'
const PING_MS = 4000

/** Whether this process could listen on `port` of the loopback address. */
export async function isFree (port: number) {
  const server = createServer()
  const free = await succeeds(once(server.listen(port, HOST), 'listening'))
  server.close()
  return free
}

/** Whether a server accepts connections on `port` of the loopback address. */
export async function accepts (port: number) {
  const socket = connect(port, HOST)
  const accepted = await succeeds(once(socket, 'connect'))
  socket.destroy()
  return accepted
}

/** Whether a server responds at `url` with a status of success, within a second. */
export async function answers (url: string) {
  const { hostname, port } = new URL(url)
  // Much cheaper than a request that fails, where a process is asked every few ms until it listens
  if (hostname === HOST && port !== '' && !await accepts(Number(port))) return false
  const response = await fetch(url, { signal: AbortSignal.timeout(1000) }).catch(() => undefined)
  await response?.body?.cancel().catch(() => {})
  return response?.ok ?? false
}

function succeeds (work: Promise<unknown>) {
  return work.then(() => true, () => false)
}

// Below the ports of outgoing connections, which could otherwise have the port of a process while it restarts
const FIRST_PORT = 20_000
const PORTS = 12_000
const reservations = new Map<number, Socket>()

/**
 * Reserves ports of the loopback address until this process ends, for processes that are started with a port.
 *
 * The reservation is a UDP socket of the same number: only one process can have it, so that two systems never
 * get the same port, even if they start together, and it is released when the process ends.
 */
export async function freePorts (count = 1): Promise<number[]> {
  const ports: number[] = []
  for (let next = randomInt(PORTS); ports.length < count; next++) {
    const port = FIRST_PORT + next % PORTS
    if (await reservePort(port)) ports.push(port)
  }
  return ports
}

/** Releases a port of `freePorts` before this process ends. */
export function releasePort (port: number) {
  reservations.get(port)?.close()
  reservations.delete(port)
}

/** Reserves one port; false if it is in use or reserved. */
export async function reservePort (port: number) {
  const socket = createSocket('udp4').unref()
  const bound = once(socket.bind({ port, address: HOST, exclusive: true }), 'listening')
  const reserved = await succeeds(bound) && await isFree(port)
  if (reserved) reservations.set(port, socket)
  else socket.close()
  return reserved
}

/**
 * Checks that the MongoDB server at `uri`, the value of the setting `name`, responds and permits `database`.
 *
 * @throws {StartError} that names hosts only: a connection string has a password
 */
export async function ping (name: string, uri: string, database?: string) {
  let opened: Client | undefined
  const { createClient, fetchTokenAhead } = await import('#common/database-client.ts')
  const late = AbortSignal.timeout(PING_MS + 500)
  const timeouts = { serverSelectionTimeoutMS: PING_MS, connectTimeoutMS: PING_MS, socketTimeoutMS: PING_MS }
  try {
    const client = opened = createClient(uri, timeouts)
    const command = database === undefined ? { ping: 1 } : { count: 'blocks', limit: 1 }
    const response = fetchTokenAhead(client).then(() => client.db(database ?? 'admin').command(command))
    await Promise.race([response, once(late, 'abort').then(() => { throw new Error() })])
  } catch (error) {
    const at = opened?.options.srvHost ?? opened?.options.hosts.join(', ')
    if (!at) throw new StartError(`${name} is not a connection string that the driver accepts`)
    const { code, name: kind } = error as { code: number, name: string }
    if (kind === 'MongoOIDCError') throw new StartError(`${name}: cannot get an Entra ID token for ${at}`)
    const login = opened?.options.credentials?.mechanism === 'MONGODB-OIDC' ? 'token' : 'user or the password'
    if ([13, 18, 8000].includes(code)) throw new StartError(`${name}: ${at} refuses the ${login}`)
    throw new StartError(`${name}: no MongoDB server answers at ${at}`)
  } finally {
    opened?.close().catch(() => {})
  }
}
