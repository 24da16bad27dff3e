import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'
import t from 'tap'
import { freePorts, releasePort } from '../probes.ts'

const RESERVING = `
  import { freePorts } from ${JSON.stringify(import.meta.resolve('../probes.ts'))}
  process.on('message', async () => process.send(await freePorts(100)))
  process.send('loaded')
`

t.test('processes that choose at the same time never choose the same port', async (t) => {
  const processes = Array.from({ length: 4 }, () =>
    spawn(process.execPath, ['--input-type=module', '-e', RESERVING], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc']
    })
  )
  t.teardown(() => { for (const process of processes) process.kill() })
  await Promise.all(processes.map((process) => once(process, 'message')))
  const answers = processes.map((process) => once(process, 'message'))
  for (const process of processes) process.send('now')
  const ports = (await Promise.all(answers)).flatMap(([ports]) => ports as number[])
  t.equal(ports.length, 400)
  t.equal(new Set(ports).size, 400)
})

t.test('a port is given once, until it is released', async (t) => {
  const [first, second] = [await freePorts(), await freePorts()]
  t.not(first[0], second[0])
  const [port] = first as [number]
  const socket = createSocket('udp4')
  const [error] = await once(socket.bind(port, '127.0.0.1'), 'error')
  t.equal(error.code, 'EADDRINUSE')
  socket.close()
  releasePort(port)
  const again = createSocket('udp4').bind(port, '127.0.0.1')
  await once(again, 'listening')
  again.close()
})

t.test('a server can listen on it', async () => {
  const [port] = await freePorts() as [number]
  const server = createServer().listen(port, '127.0.0.1')
  await once(server, 'listening')
  server.close()
})
