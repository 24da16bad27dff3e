import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Test } from 'tap'

/**
 * A TCP proxy for the database of `connection` that can break connections: after the server has executed a
 * command and before the client gets the reply, or while a command is being sent.
 */
export async function proxy (t: Test, connection: string) {
  const { hostname, port } = new URL(connection)
  let swallow: Buffer | undefined
  let stall: string | undefined
  const sockets = new Set<Socket>()

  const server = createServer((client) => {
    const upstream = connect(Number(port || 27017), hostname)
    let doomed = false
    const end = () => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', end).on('close', end)
    }
    client.on('data', (data: Buffer) => {
      if (stall && data.includes(start(stall))) {
        stall = undefined
        client.resetAndDestroy()
        return
      }
      if (swallow && data.includes(swallow)) {
        swallow = undefined
        doomed = true
      }
      upstream.write(data)
    })
    upstream.on('data', (data) => (doomed ? end() : client.write(data)))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })

  return {
    /** That of the database by way of the proxy. */
    connection: connection.replace(
      `${hostname}${port && `:${port}`}`,
      `127.0.0.1:${(server.address() as AddressInfo).port}`
    ),
    /** The next reply to such a command on a collection is lost, with its connection. */
    loseReply (command: string, collection: string) {
      swallow = start(command, collection)
    },
    lost: () => swallow === undefined,
    /** The next such command is not read to its end, and its connection is reset meanwhile. */
    stall (command: string) {
      stall = command
    },
    stalled: () => stall === undefined
  }
}

/** The first element of a command; one on a collection has the collection's name as its value. */
function start (command: string, collection?: string) {
  const name = Buffer.from(`\u0002${command}\0`)
  if (collection === undefined) return name
  const length = Buffer.alloc(4)
  length.writeInt32LE(collection.length + 1)
  return Buffer.concat([name, length, Buffer.from(`${collection}\0`)])
}
