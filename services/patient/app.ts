import type { DestinationStream } from 'pino'
import { allowList } from '#common/allow-list.ts'
import { database, databaseConnected } from '#common/database.ts'
import { health } from '#common/health.ts'
import { hostKey, hostKeys } from '#common/host-key.ts'
import { createService } from '#common/service.ts'
import { AuditClient } from './audit-client.ts'
import { audited } from './audited.ts'
import type { Config } from './config.ts'
import { dataKey } from './data-key.ts'
import { Deletion } from './deletion.ts'
import { Claims, claimIndexes } from './repositories/claims.ts'
import { patientIndexes, Patients } from './repositories/patients.ts'
import { testIndexes, Tests } from './repositories/tests.ts'
import { patientRoutes } from './routes/patients.ts'
import { testRoutes } from './routes/tests.ts'

const SWEEP_MS = 60 * 60 * 1_000

/** The Patient service: patients and their test results, every interaction recorded by the Audit service first. */
export async function buildApp (config: Config, { logStream }: { logStream?: DestinationStream } = {}) {
  const app = createService('patient', config, logStream)

  await app.register(database, {
    connection: config.PATIENT_DB_CONNECTION,
    name: config.DATABASE_NAME,
    indexes: [...patientIndexes, ...testIndexes, ...claimIndexes]
  })
  const audit = new AuditClient(config.AUDIT_URL, config.AUDIT_HOST_KEY, app.log)
  app.addHook('onClose', () => audit.close())
  audit.wake()

  const patients = new Patients(app.database)
  const tests = new Tests(app.database)
  const claims = new Claims(app.database)
  const deletion = new Deletion(patients, tests, app.log)
  const sweep = () => deletion.sweep().catch((err) => app.log.warn({ err }, 'sweep of deleted patients not finished'))
  const sweeping = setInterval(sweep, SWEEP_MS).unref()
  app.database.connected.then(sweep)
  app.addHook('onClose', async () => clearInterval(sweeping))

  app.register(health, { ready: () => app.database.ready })
  app.register(async (guarded) => {
    await guarded.register(allowList, { cidrs: config.ALLOWED_CALLERS, callerAddress: config.CALLER_ADDRESS })
    await guarded.register(hostKey, { keys: hostKeys([config.PATIENT_HOST_KEY]) })
    guarded.addHook('onRequest', databaseConnected)
    await guarded.register(audited, { audit })

    const parts = { patients, tests, claims, deletion, key: dataKey(config.PATIENT_DATA_KEY) }
    guarded.register(patientRoutes, parts)
    guarded.register(testRoutes, parts)
  })
  return app
}
