import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { Pool } from 'undici'
import { startSystem, type System } from '../test/system.ts'
import type { Attack } from './attack.ts'
import { atMost, figure, inTurns, quantile, ratios } from './figures.ts'
import { SMALL_PATIENT } from './load.ts'

const ROUNDS = 5
const ROUND_MS = 10_000
const GOOD_PER_SECOND = 100
const WRONG_PER_SECOND = 1_000

const READ_FROM_VAULT = /"operation":"getSecret","identity":"patient","secret":"patient-host-key"/

/** Measures reads of the vault and the p99 of good requests during 10,000 calls with wrong keys in 10 s. */
export async function wrongKeys () {
  const system = await startSystem()
  const gateway = new Pool(system.baseUrl, { connections: 32 })
  try {
    const headers = { 'ocp-apim-subscription-key': system.subscriptionKey }
    const created = await gateway.request({ method: 'POST', path: '/patient', headers, body: SMALL_PATIENT })
    const path = `/patient/${(await created.body.json() as { id: string }).id}`
    const vaultReads = () => system.logs().split('\n').filter((line) => READ_FROM_VAULT.test(line)).length

    const measure = async (name: 'calm' | 'attacked') => {
      const before = vaultReads()
      const attacking = name === 'attacked' ? attack(system, path) : undefined
      const latencies = await goodRequests(gateway, path, headers)
      await attacking
      return { p99: quantile(latencies, 0.99), reads: vaultReads() - before }
    }
    const { calm, attacked } = await inTurns(['calm', 'attacked'], ROUNDS, measure, 1)
    figure('wrong-keys-vault-reads', Math.max(...attacked.map(({ reads }) => reads)), atMost(11))
    const [under, without] = [attacked.map(({ p99 }) => p99), calm.map(({ p99 }) => p99)]
    figure('wrong-keys-p99-of-good', ratios(under, without), atMost(2))
  } finally {
    await gateway.destroy()
    await system.stop()
  }
}

/** The ms that each request took, begun at an even rate whether or not the ones before have ended. */
async function goodRequests (gateway: Pool, path: string, headers: Record<string, string>) {
  async function send () {
    const began = performance.now()
    const { statusCode, body } = await gateway.request({ method: 'GET', path, headers })
    await body.dump()
    if (statusCode !== 200) throw new Error(`a good request had status ${statusCode}`)
    return performance.now() - began
  }
  const sent: Array<Promise<number>> = []
  const began = performance.now()
  for (let elapsed = 0; elapsed < ROUND_MS; elapsed = performance.now() - began) {
    while (sent.length < elapsed * GOOD_PER_SECOND / 1_000) sent.push(send())
    await sleep(2)
  }
  return Promise.all(sent)
}

async function attack ({ run: { patient } }: System, path: string) {
  const workerData: Attack = { url: patient.url, path, perSecond: WRONG_PER_SECOND, ms: ROUND_MS }
  const worker = new Worker(new URL('./attack.ts', import.meta.url), { workerData })
  const [{ sent, refused }] = await once(worker, 'message')
  if (refused !== sent || sent < 0.95 * WRONG_PER_SECOND * ROUND_MS / 1_000) {
    throw new Error(`${refused} of ${sent} wrong keys were refused`)
  }
}
