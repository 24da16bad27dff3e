import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'

// Calls a service with wrong host keys at an even rate, on a thread of its own. Plain sockets take little CPU
// from what is measured; load generators send such a rate in bursts.

export interface Attack {
  url: string
  path: string
  perSecond: number
  ms: number
}

const SOCKETS = 200
const TICK_MS = 5

const { url, path, perSecond, ms } = workerData as Attack
const { hostname, port } = new URL(url)
const idle: Array<(i: number) => void> = []
let sent = 0
let refused = 0

for (let n = 0; n < SOCKETS; n++) {
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  const send = (i: number) => {
    sent++
    const key = `a-wrong-key-of-some-length-${i}`
    socket.write(`GET ${path} HTTP/1.1\r\nhost: service\r\nx-functions-key: ${key}\r\n\r\n`)
  }
  socket.on('data', (bytes) => {
    // A response is small and comes in one chunk
    if (bytes.includes('HTTP/1.1 401 ')) refused++
    idle.push(send)
  })
  // What it had sent counts as not refused
  socket.once('error', () => {})
  idle.push(send)
}

const began = performance.now()
for (;;) {
  const elapsed = performance.now() - began
  if (elapsed > ms) break
  const due = Math.floor(elapsed * perSecond / 1_000) - sent
  for (const send of idle.splice(0, due)) send(sent)
  await sleep(TICK_MS)
}
// A request that waits for a read of the vault is answered within two seconds
await sleep(2_500)
parentPort!.postMessage({ sent, refused })
process.exit()
