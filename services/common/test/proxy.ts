import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import type { Test } from 'tap'

/**
 * A TCP proxy before a database that can break connections as networks do: after the server carried a command
 * out and before its client hears of it.
 */
export async function proxy (t: Test, port: number) {
  let swallow: { command: string, times: number } | undefined
  const sockets = new Set<Socket>()

  const server = createServer((client) => {
    const upstream = connect(port, '127.0.0.1')
    let doomed = false
    const end = () => { client.destroy(); upstream.destroy() }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', end).on('close', end)
    }
    client.on('data', (data) => {
      // A command's name is the first element of its document: type byte, name, NUL
      if (swallow && swallow.times > 0 && data.includes(`\u0002${swallow.command}\0`)) {
        swallow.times--
        doomed = true
      }
      upstream.write(data)
    })
    upstream.on('data', (data) => doomed ? end() : client.write(data))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })

  return {
    port: (server.address() as AddressInfo).port,
    /** The next `times` replies to a command are lost, each with its connection. */
    loseReplies (command: string, times = 1) { swallow = { command, times } },
    lost: () => swallow?.times === 0
  }
}
