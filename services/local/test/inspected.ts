import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const INSPECTOR = 'http://127.0.0.1:9229/json'

/** Bytes of the heap of a Node process after a collection, and of its resident set. One process at a time. */
export async function memoryOf (pid: number) {
  // Node opens its inspector at this signal
  process.kill(pid, 'SIGUSR1')
  const socket = new WebSocket(await debuggerUrl())
  await once(socket, 'open')
  let id = 0
  const send = async (method: string, params = {}) => {
    socket.send(JSON.stringify({ id: ++id, method, params }))
    for (;;) {
      const [{ data }] = await once(socket, 'message') as [MessageEvent]
      const answer = JSON.parse(data)
      if (answer.id === id) return answer.result
    }
  }
  await send('HeapProfiler.collectGarbage')
  await send('HeapProfiler.collectGarbage')
  const { usedSize: heap } = await send('Runtime.getHeapUsage')
  await send('Runtime.evaluate', { expression: 'void setTimeout(() => process._debugEnd())' })
  socket.close()
  while (await debuggerUrl(1)) await sleep(20)
  const [, kib] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))!
  return { heap: heap as number, rss: Number(kib) * 1024 }
}

async function debuggerUrl (attempts = 500) {
  for (let attempt = 0; attempt < attempts; attempt++) {
    try {
      const answer = await fetch(INSPECTOR)
      const [{ webSocketDebuggerUrl }] = await answer.json() as [{ webSocketDebuggerUrl: string }]
      return webSocketDebuggerUrl
    } catch {
      await sleep(20)
    }
  }
  return ''
}
