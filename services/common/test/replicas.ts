import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { freePorts } from '../../emulators/processes/probes.ts'

/** The addresses of replicas that listen on one port: those of Linux's loopback network. */
export const ipOf = (number: number) => `127.0.0.${number}`

/** A server at each address of one host, that counts what it was asked and over how many connections. */
export async function replicas (t: Test, count: number, answer: (number: number) => RequestListener) {
  const port = (await freePorts())[0]!
  const calls = Array<number>(count).fill(0)
  const connections = Array<number>(count).fill(0)
  const servers: Server[] = []
  for (let index = 0; index < count; index++) {
    const sockets = new Set<Socket>()
    const server = createServer(answer(index + 1))
      .on('connection', (socket) => {
        sockets.add(socket)
        connections[index]!++
      })
      .on('request', () => { calls[index]!++ })
    await once(server.listen(port, ipOf(index + 1)), 'listening')
    t.teardown(() => {
      server.close()
      for (const socket of sockets) socket.destroy()
    })
    servers.push(server)
  }
  const ips = servers.map((_, index) => ipOf(index + 1))
  return { port, origin: `http://replicas.test:${port}`, ips, calls, connections, servers }
}

const REPLICA = fileURLToPath(import.meta.resolve('./replica.ts'))

/** Starts a replica as a process of its own and waits until it listens. */
export async function startReplica (t: Test, settings: NodeJS.ProcessEnv) {
  const replica = spawn(process.execPath, [REPLICA], { env: settings, stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(replica, 'exit')
  t.teardown(() => { replica.kill('SIGKILL') })
  let log = ''
  replica.stdout.setEncoding('utf8').on('data', (chunk) => { log += chunk })
  /** Waits until it has logged `message`. */
  const logged = async (message: string) => {
    while (!log.includes(`"${message}"`)) {
      if (replica.exitCode !== null) throw new Error(`it ended without ${message}: ${log}`)
      await Promise.race([once(replica.stdout, 'data'), ended])
    }
  }
  await logged('listening')
  return {
    logged,
    log: () => log,
    /** Sends `signal`. */
    kill: (signal: NodeJS.Signals) => replica.kill(signal),
    /** Fulfilled with its exit code. */
    ended: ended.then(([code]) => code as number | null)
  }
}
