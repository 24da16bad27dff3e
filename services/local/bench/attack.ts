import { parentPort, workerData } from 'node:worker_threads'
import { Pool } from 'undici'
import { atRate } from './rate.ts'

// Calls a service with wrong host keys, on a thread of its own so that it does not hold up who measures

export interface Attack {
  url: string
  path: string
  perSecond: number
  ms: number
}

const { url, path, perSecond, ms } = workerData as Attack
const service = new Pool(url, { connections: 256 })

const statuses = await Promise.all(await atRate(perSecond, ms, async (i) => {
  const { statusCode, body } = await service.request({ method: 'GET', path, headers: { 'x-functions-key': `a-wrong-key-of-some-length-${i}` } })
  await body.dump()
  return statusCode
}))
await service.destroy()
parentPort!.postMessage(statuses)
