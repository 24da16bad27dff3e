import { join, resolve } from 'node:path'

const { ARTEFACTS, BASE_URL, DURATION, P95_MS, SUBSCRIPTION_KEY } = process.env
const root = resolve(import.meta.dirname, '../..')
const UNITS: Record<string, number> = { h: 3_600_000, m: 60_000, s: 1_000, ms: 1 }

export const baseUrl = BASE_URL
export const subscriptionKey = SUBSCRIPTION_KEY
/** Where `npm run k6:install` puts k6. */
export const binaries = join(root, '.local/bin')
/** Where the summary and the report of each script go. */
export const results = resolve(ARTEFACTS ?? join(root, '.artefacts/k6'))
/** As in k6/lib/settings.ts. */
export const p95Ms = Number(P95_MS || 500)
/** How long soak.ts sends load, in ms; the default is that of k6/soak.ts. */
export const soakMs = [...(DURATION || '15m').matchAll(/(\d+)(ms|[hms])/g)]
  .reduce((sum, [, count, unit]) => sum + Number(count) * UNITS[unit!]!, 0)
