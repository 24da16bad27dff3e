import t from 'tap'
import { buildApp } from '../app.ts'
import { loadConfig } from '../config.ts'
import { SUBSCRIPTION_KEYS } from './gateway.ts'

const env = {
  PATIENT_URL: 'http://127.0.0.1:1',
  AUDIT_URL: 'http://127.0.0.1:1',
  PATIENT_HOST_KEY: 'k'.repeat(16),
  AUDIT_QUERY_KEY: 'q'.repeat(16),
  GATEWAY_SUBSCRIPTION_KEYS: SUBSCRIPTION_KEYS
}

t.test('waits 60 s for the service and limits no rate by default', async (t) => {
  t.match(loadConfig(env), { TIMEOUT_MS: 60_000, RATE_LIMIT: 0 })
})

t.test('names every setting that is missing', async (t) => {
  t.throws(() => loadConfig({}), { message: /PATIENT_URL.*PATIENT_HOST_KEY.*GATEWAY_SUBSCRIPTION_KEYS/ })
})

t.test('refuses subscriptions that are not whole, and quotes none of them', async (t) => {
  const wrong = [
    'secret', '[]', '{}', '{"a":"secret"}', '{"a":{"product":"client"}}',
    '{"a":{"product":"owner","key":"secret"}}', '{"a b":{"product":"client","key":"secret"}}',
    '{"a":{"product":"client","key":"secret","x":1}}', '{"a":{"product":"client","key":"secret\\n"}}',
    '{"a":{"product":"client","key":"secret"},"b":{"product":"reader","key":"secret"}}'
  ]
  for (const GATEWAY_SUBSCRIPTION_KEYS of wrong) {
    const error = await t.rejects(async () => buildApp(loadConfig({ ...env, GATEWAY_SUBSCRIPTION_KEYS })), {
      name: 'SettingsError', message: /GATEWAY_SUBSCRIPTION_KEYS must/
    })
    t.notMatch((error as unknown as Error).message, 'secret')
  }
})
