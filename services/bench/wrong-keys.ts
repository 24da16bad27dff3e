import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { Pool } from 'undici'
import type { System } from '../test/system.ts'
import type { Attack } from './attack.ts'
import { atMost, figure, median, quantile } from './figures.ts'
import { atRate } from './rate.ts'

const ROUNDS = 5
const ROUND_MS = 10_000
const GOOD_PER_SECOND = 100
const WRONG_PER_SECOND = 1_000

/** What 10,000 calls with wrong host keys in 10 s cost: looks at the vault, and the 99th percentile of good requests. */
export async function wrongKeys (system: System) {
  const { baseUrl, subscriptionKey, run: { patient } } = system
  const gateway = new Pool(baseUrl, { connections: 32 })
  const headers = { 'ocp-apim-subscription-key': subscriptionKey }
  const created = await gateway.request({ method: 'POST', path: '/patient', headers, body: JSON.stringify({ firstName: 'Ada', gender: 'female', dateOfBirth: '1815', postCode: 'W1S4' }) })
  const { id } = await created.body.json() as { id: string }

  async function load () {
    const began = performance.now()
    const { statusCode, body } = await gateway.request({ method: 'GET', path: `/patient/${id}`, headers })
    await body.dump()
    if (statusCode !== 200) throw new Error(`a good request was answered ${statusCode}`)
    return performance.now() - began
  }

  async function attack () {
    const data: Attack = { url: patient.url, path: `/patient/${id}`, perSecond: WRONG_PER_SECOND, ms: ROUND_MS }
    const [{ sent, refused }] = await once(new Worker(new URL('./attack.ts', import.meta.url), { workerData: data }), 'message')
    if (refused !== sent || sent < 0.95 * WRONG_PER_SECOND * ROUND_MS / 1_000) throw new Error(`${refused} of ${sent} wrong keys were refused`)
  }

  const looks = () => system.logs().split('\n').filter((line) => /"operation":"getSecret","identity":"patient","secret":"patient-host-key"/.test(line)).length

  async function round (attacked: boolean) {
    const before = looks()
    const attacking = attacked ? attack() : undefined
    const latencies = await Promise.all(await atRate(GOOD_PER_SECOND, ROUND_MS, load))
    await attacking
    return { p99: quantile(latencies, 0.99), looks: looks() - before }
  }

  await round(false)
  await round(true)
  const ratios = []
  const seen = []
  for (let i = 0; i < ROUNDS; i++) {
    const calm = await round(false)
    const attacked = await round(true)
    ratios.push(attacked.p99 / calm.p99)
    seen.push(attacked.looks)
  }
  figure('wrong-keys-looks-at-vault', Math.max(...seen), atMost(11))
  figure('wrong-keys-p99-of-good', median(ratios), atMost(2))
  await gateway.destroy()
}
