import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Test } from 'tap'

/**
 * A TCP proxy for the database of `connection` that can break connections: after the server has executed a
 * command and before the client gets the reply, or while a command is being sent.
 */
export async function proxy (t: Test, connection: string) {
  const { hostname, port } = new URL(connection)
  let swallow: { command: string; times: number } | undefined
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
    client.on('data', (data) => {
      // A command's name is the first element of its document: type byte, name, NUL
      const holds = (command: string) => data.includes(`\u0002${command}\0`)
      if (stall && holds(stall)) {
        stall = undefined
        client.resetAndDestroy()
        return
      }
      if (swallow && swallow.times > 0 && holds(swallow.command)) {
        swallow.times--
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
    /** The next `times` replies to a command are lost, each with its connection. */
    loseReplies (command: string, times = 1) {
      swallow = { command, times }
    },
    lost: () => swallow?.times === 0,
    /** The next such command is not read to its end, and its connection is reset meanwhile. */
    stall (command: string) {
      stall = command
    },
    stalled: () => stall === undefined
  }
}
