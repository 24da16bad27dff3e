import type { DestinationStream } from 'pino'
import { connectionString, database, waitForDatabase } from '#common/database.ts'
import { guard } from '#common/guard/guard.ts'
import { health } from '#common/http/health.ts'
import { acceptedHostKey } from '#common/guard/host-key.ts'
import { secrets } from '#common/secrets/key-vault.ts'
import { createService } from '#common/http/create-service.ts'
import { traceId } from '#common/telemetry/trace.ts'
import type { Config } from './config.ts'
import { Register, registerIndexes } from './register.ts'
import { recordRoutes } from './routes.ts'

/** The audit service: POST /audit stores a record, and responds once the record is durable. */
export async function buildApp (config: Config, { logStream }: { logStream?: DestinationStream } = {}) {
  const app = createService('audit', config, logStream)

  await app.register(secrets, { settings: config.secrets })
  const key = acceptedHostKey(app.secrets, 'audit-host-key')
  await app.register(database, {
    connection: connectionString(app.secrets, 'audit-db-connection'),
    name: config.DATABASE_NAME,
    indexes: registerIndexes
  })
  const register = new Register(app.database, app.log)
  app.addHook('onClose', () => register.close())

  app.register(health, { ready: () => app.secrets.loaded && app.database.ready })
  app.register(async (guarded) => {
    await guarded.register(guard, {
      config,
      key,
      record (refusal, headers) {
        return register.append({ sourceSystemName: 'audit', ...refusal }, traceId(headers))
      }
    })
    guarded.addHook('onRequest', waitForDatabase)
    guarded.register(recordRoutes, { register })
  })
  return app
}
