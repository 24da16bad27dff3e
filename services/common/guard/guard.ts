import fp from 'fastify-plugin'
import { allowList, type AllowListConfig } from './allow-list.ts'
import { hostKey } from './host-key.ts'
import { secretsLoaded } from '../secrets/key-vault.ts'
import { refusals, type RecordRefusal } from './refusals.ts'
import { logLevel } from '../http/log-level.ts'
import type { Secret } from '../secrets/secrets.ts'

export interface GuardOptions {
  config: AllowListConfig
  key: Secret<Buffer>
  record: RecordRefusal
}

/**
 * What stands before every route of a service but its health: the caller's address first, then its host key. A caller
 * that passes both may see which versions of the service's keys are in force, at `/keys`, and
 * read and set the level of this replica's log at `/log-level`.
 */
export const guard = fp<GuardOptions>(async (app, { config, key, record }) => {
  await app.register(refusals, { record })
  await app.register(allowList, config)
  app.addHook('onRequest', secretsLoaded)
  await app.register(hostKey, { key })
  app.get('/keys', async () => ({ keys: app.secrets.describe() }))
  await app.register(logLevel)
}, { name: 'guard', dependencies: ['secrets'] })
