import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { System } from './system.ts'

/** Has every process of a system open Node's inspector, on a port of its own. */
export const inspectable = { NODE_OPTIONS: '--inspect=127.0.0.1:0' }

/** The bytes of the heap after a collection, and of the resident set, by pid, in an inspectable system. */
export async function memoryOf (system: System, pids: number[]) {
  const found = new Map<number, { heap: number, rss: number }>()
  for (const [, url] of system.logs().matchAll(/^Debugger listening on (ws:\S+)$/gm)) {
    const inspector = await connected(url!)
    if (!inspector) continue
    const { send, close } = inspector
    const { result: { value: pid } } = await send('Runtime.evaluate', { expression: 'process.pid' })
    if (pids.includes(pid)) {
      // What the first leaves to finalizers, the second takes
      await send('HeapProfiler.collectGarbage')
      await send('HeapProfiler.collectGarbage')
      const { usedSize } = await send('Runtime.getHeapUsage')
      const [, kib] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!
      found.set(pid, { heap: usedSize, rss: Number(kib) * 1024 })
    }
    close()
  }
  return pids.map((pid) => found.get(pid)!)
}

/** Nothing where the process has ended. */
async function connected (url: string) {
  const socket = new WebSocket(url)
  await Promise.race([once(socket, 'open'), once(socket, 'close')])
  if (socket.readyState !== WebSocket.OPEN) return undefined
  let id = 0
  return {
    close: () => socket.close(),
    async send (method: string, params = {}) {
      socket.send(JSON.stringify({ id: ++id, method, params }))
      for (;;) {
        const [{ data }] = await once(socket, 'message') as [MessageEvent]
        const answer = JSON.parse(data)
        if (answer.id === id) return answer.result
      }
    }
  }
}
