import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'undici'
import type { System } from './system.ts'

/**
 * Mixed reads and writes by `count` clients until `stop`, which returns the number of responses by method and
 * status, the patients whose creation was confirmed (201), and those of them that cannot be loaded.
 */
export function startLoad ({ baseUrl, subscriptionKey }: System, count = 16) {
  const pool = new Pool(baseUrl, { connections: count })
  const statuses = new Map<string, number>()
  const created: Array<{ id: string }> = []
  const stopping = new AbortController()

  async function call (method: 'GET' | 'POST', path: string, payload?: object) {
    let status: string
    let body: { id: string } | undefined
    try {
      const headers = { 'ocp-apim-subscription-key': subscriptionKey }
      const response = await pool.request({ method, path, body: payload && JSON.stringify(payload), headers })
      body = await response.body.json() as { id: string }
      const retryable = response.statusCode === 503 && response.headers['retry-after']
      status = `${method} ${response.statusCode}${retryable ? ' with Retry-After' : ''}`
    } catch (error) {
      status = `${method} ${(error as NodeJS.ErrnoException).code}`
      await sleep(20)
    }
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
    return status.endsWith('200') || status.endsWith('201') ? body : undefined
  }

  async function client (lastName: string) {
    while (!stopping.signal.aborted) {
      const ada = { firstName: 'Ada', lastName, gender: 'female', dateOfBirth: '1915', postCode: 'W1S4' }
      const patient = await call('POST', '/patient', ada)
      if (!patient) continue
      created.push(patient)
      await call('GET', `/patient/${patient.id}`)
      await call('POST', '/patient/search?limit=1', { lastName })
    }
  }

  const clients = Array.from({ length: count }, (_, i) => client(`Lovelace-${i}`))
  return {
    count: () => created.length,
    async stop () {
      stopping.abort()
      await Promise.all(clients)
      const missing = []
      for (const { id } of created) if (!await call('GET', `/patient/${id}`)) missing.push(id)
      await pool.destroy()
      return { statuses: Object.fromEntries(statuses), created, missing }
    }
  }
}
