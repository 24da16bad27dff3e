import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { parentPort, workerData } from 'node:worker_threads'

// Calls a service with wrong host keys: on a thread of its own, with sockets alone and bytes that are looked at for
// their statuses only, so that it takes little from those whose time is measured

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
const key = 'a-wrong-key-of-some-length-'
const idle: Array<(i: number) => void> = []
let sent = 0
let refused = 0
let others = 0

for (let n = 0; n < SOCKETS; n++) {
  const socket = connect({ host: hostname, port: Number(port), noDelay: true })
  const send = (i: number) => {
    sent++
    socket.write(`GET ${path} HTTP/1.1\r\nhost: service\r\nx-functions-key: ${key}${i}\r\n\r\n`)
  }
  socket.on('data', (bytes) => {
    // An answer is small and comes whole
    if (bytes.includes('HTTP/1.1 401 ')) refused++
    else others++
    idle.push(send)
  })
  socket.once('error', () => others++)
  idle.push(send)
}

const began = performance.now()
for (;;) {
  const elapsed = performance.now() - began
  if (elapsed > ms) break
  for (let due = Math.floor(elapsed * perSecond / 1_000) - sent; due > 0 && idle.length > 0; due--) idle.shift()!(sent)
  await sleep(TICK_MS)
}
// Those who wait for a look hear within two seconds
await sleep(2_500)
parentPort!.postMessage({ sent, refused, others })
process.exit()
