import fp from 'fastify-plugin'
import { allowList, type AllowListConfig } from './allow-list.ts'
import { hostKey, type AcceptedKeys } from './host-key.ts'
import { secretsLoaded } from '../secrets/key-vault.ts'
import { refusals, type RecordRefusal } from './refusals.ts'
import { logLevel } from '../http/log-level.ts'
import { sendRouteNotFound } from '../http/problems.ts'

interface GuardOptions {
  config: AllowListConfig
  key: AcceptedKeys
  record: RecordRefusal
}

/**
 * Checks the caller's address and its host key before every route of the service but `/health`, and before
 * answering 404. Adds `/keys`, which lists the valid versions of the service's secrets, and `/log-level`.
 */
export const guard = fp<GuardOptions>(async (app, { config, key, record }) => {
  await app.register(refusals, { record })
  await app.register(allowList, config)
  app.addHook('onRequest', secretsLoaded)
  await app.register(hostKey, { key })
  app.get('/keys', async () => ({ keys: app.secrets.describe() }))
  await app.register(logLevel)
  // Set here rather than at the root, so that callers without a key cannot find out which routes exist
  app.setNotFoundHandler(sendRouteNotFound)
}, { name: 'guard', dependencies: ['secrets'] })
