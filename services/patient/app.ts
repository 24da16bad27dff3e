import type { onRouteHookHandler } from 'fastify'
import type { DestinationStream } from 'pino'
import { connectionString, database, waitForDatabase } from '#common/database.ts'
import { guard } from '#common/guard/guard.ts'
import { checkCaller } from '#common/http/caller.ts'
import { health } from '#common/http/health.ts'
import { acceptedHostKey, sentHostKey } from '#common/guard/host-key.ts'
import { secrets } from '#common/secrets/key-vault.ts'
import { sendRouteNotFound } from '#common/http/problems.ts'
import { createService } from '#common/http/create-service.ts'
import { AuditClient } from './audit-client.ts'
import { audited } from './audited.ts'
import type { Config } from './config.ts'
import { dataKeys } from './data-key.ts'
import { keepDigits } from './digits.ts'
import { Deletion } from './life/deletion.ts'
import { Merges } from './life/merge.ts'
import { Moves } from './life/move.ts'
import { Restore } from './life/restore.ts'
import { Sweep } from './life/sweep.ts'
import { findOutcome, type AttemptToFind } from './reconciler/evidence.ts'
import { Heartbeat } from './reconciler/heartbeat.ts'
import { Reconciler } from './reconciler/reconciler.ts'
import { Claims, claimIndexes } from './repositories/claims.ts'
import { PageMemory } from './repositories/page-memory.ts'
import { patientIndexes, Patients } from './repositories/patients.ts'
import { Replicas } from './repositories/replicas.ts'
import { testIndexes, TestResults } from './repositories/test-results.ts'
import { transferIndexes, Transfers } from './repositories/transfers.ts'
import { versionIndexes, Versions } from './repositories/versions.ts'
import { lifeRoutes } from './routes/life.ts'
import { patientRoutes } from './routes/patients.ts'
import { KeyMaker } from './search/keys.ts'
import { KeyMigration } from './search/migration.ts'
import { testResultRoutes } from './routes/test-results.ts'
import { versionRoutes } from './routes/versions.ts'
import { normaliseText } from './text.ts'

const DAY_MS = 24 * 60 * 60 * 1_000
/** Bounds what a migration takes of the database: about 2,000 request units a second on Cosmos DB. */
const MIGRATED_PER_SECOND = 100
/** The time to record a refusal, which does not delay its response. */
const REFUSAL_MS = 5_000

interface BuildOptions {
  logStream?: DestinationStream
  /** Called with every route. */
  onRoute?: onRouteHookHandler
}

/** The patient service: patients and their test results. The audit service records every interaction. */
export async function buildApp (config: Config, { logStream, onRoute }: BuildOptions = {}) {
  const app = createService('patient', config, logStream)
  if (onRoute) app.addHook('onRoute', onRoute)

  await app.register(secrets, { settings: config.secrets })
  const key = acceptedHostKey(app.secrets, 'patient-host-key')
  await app.register(database, {
    connection: connectionString(app.secrets, 'patient-db-connection'),
    name: config.DATABASE_NAME,
    indexes: [...patientIndexes, ...testIndexes, ...claimIndexes, ...versionIndexes, ...transferIndexes]
  })
  const audit = new AuditClient(config.AUDIT_URL, sentHostKey(app.secrets, 'audit-host-key'), app.log)
  app.addHook('onClose', () => audit.close())

  const versions = new Versions(app.database)
  const transfers = new Transfers(app.database)
  const patients = new Patients(app.database, new KeyMaker(config.DEFAULT_REGION), versions)
  const tests = new TestResults(app.database, versions, transfers)
  const claims = new Claims(app.database)
  const migration = new KeyMigration(patients, claims, audit, app.log, MIGRATED_PER_SECOND)
  app.addHook('onClose', async () => migration.close())
  app.database.connected.then(() => migration.keepMigrated())
  const graceMs = config.DELETION_GRACE_DAYS * DAY_MS
  const stores = { patients, tests, versions, transfers }
  const moves = new Moves(stores)
  const merges = new Merges(stores, moves)
  const deletion = new Deletion(stores, moves, graceMs, app.log)
  const restore = new Restore(patients, versions, graceMs)
  const sweep = new Sweep({ transfers, moves, merges, deletion }, app.log)
  app.database.connected.then(() => sweep.run())
  app.addHook('onClose', async () => sweep.close())

  const replicas = new Replicas(app.database)
  const beatMs = config.HEARTBEAT_SECONDS * 1_000
  const heartbeat = new Heartbeat(replicas, app.log, beatMs)
  // After the failures that wait for the audit service, whose hook is added later, and before the database
  app.addHook('onClose', () => heartbeat.close())
  const find = (attempt: AttemptToFind) => findOutcome(stores, attempt)
  const reconciler = new Reconciler({ replicas, heartbeat, audit, sweep, find }, app.log, beatMs)
  app.database.connected.then(() => reconciler.run())
  app.addHook('onClose', async () => reconciler.close())

  app.register(health, { ready: () => app.secrets.loaded && app.database.ready })
  app.register(async (guarded) => {
    await guarded.register(guard, {
      config,
      key,
      record: (refusal, trace) => audit.recordRefusal(refusal, trace, REFUSAL_MS)
    })
    guarded.addHook('onRequest', waitForDatabase)
    // Otherwise these would be operations on a patient with the id "search"
    guarded.route({
      method: ['GET', 'PUT', 'PATCH', 'DELETE'],
      url: '/patient/search',
      schema: { hide: true },
      handler: sendRouteNotFound
    })
    guarded.addHook('onRequest', checkCaller)
    await guarded.register(audited, { audit, heartbeat, find })
    guarded.addHook('preValidation', normaliseText)
    guarded.addHook('preHandler', keepDigits)

    const keys = dataKeys(app.secrets)
    const life = { deletion, moves, merges, restore }
    const parts = { ...stores, ...life, claims, keys, pageMemory: new PageMemory(), migration }
    guarded.register(patientRoutes, parts)
    guarded.register(testResultRoutes, parts)
    guarded.register(versionRoutes, parts)
    guarded.register(lifeRoutes, parts)
  })
  // For tests, which run the sweep as a restart does
  return Object.assign(app, { deletion, sweep })
}
