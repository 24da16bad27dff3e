import type { DestinationStream } from 'pino'
import { allowList } from '#common/allow-list.ts'
import { database, databaseConnected } from '#common/database.ts'
import { health } from '#common/health.ts'
import { hostKey, hostKeys } from '#common/host-key.ts'
import { createService } from '#common/service.ts'
import type { Config } from './config.ts'
import { Register, registerIndexes } from './register.ts'
import { recordRoutes } from './routes.ts'

/** The Audit service: POST /audit takes a record and answers once it is durable. */
export async function buildApp (config: Config, { logStream }: { logStream?: DestinationStream } = {}) {
  const app = createService('audit', config, logStream)

  await app.register(database, { connection: config.AUDIT_DB_CONNECTION, name: config.DATABASE_NAME, indexes: registerIndexes })
  const register = new Register(app.database, app.log)
  app.addHook('onClose', () => register.close())

  app.register(health, { ready: () => app.database.ready })
  app.register(async (guarded) => {
    await guarded.register(allowList, { cidrs: config.ALLOWED_CALLERS, callerAddress: config.CALLER_ADDRESS })
    await guarded.register(hostKey, { keys: hostKeys([config.AUDIT_HOST_KEY]) })
    guarded.addHook('onRequest', databaseConnected)
    guarded.register(recordRoutes, { register })
  })
  return app
}
