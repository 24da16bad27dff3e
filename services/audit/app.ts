import type { FastifyRequest, onRouteHookHandler } from 'fastify'
import type { DestinationStream } from 'pino'
import { connectionString, database, waitForDatabase } from '#common/database.ts'
import { guard } from '#common/guard/guard.ts'
import { health } from '#common/http/health.ts'
import { acceptedHostKey, acceptedKey } from '#common/guard/host-key.ts'
import { secrets } from '#common/secrets/key-vault.ts'
import { sealingKey, sealingKeys } from '#common/secrets/sealing.ts'
import { createService } from '#common/http/create-service.ts'
import { traceId } from '#common/telemetry/trace.ts'
import type { Config } from './config.ts'
import { evidenceRoutes } from './evidence/routes.ts'
import { openLogKey } from './log/keys.ts'
import { TransparencyLog } from './log/log.ts'
import { logRoutes } from './log/routes.ts'
import { logIndexes } from './log/store.ts'
import { Witnesses } from './log/witnesses.ts'
import { Register, registerIndexes } from './register.ts'
import { Records } from './queries/records.ts'
import { recordRoutes } from './routes/records.ts'
import { Answers } from './routes/answers.ts'
import { queryRoutes } from './routes/queries.ts'
import { findingRoutes } from './routes/findings.ts'
import { actionRecorder, questionRecorder } from './routes/questions.ts'
import { statisticsRoutes } from './routes/statistics.ts'
import { watchedPatientRoutes } from './routes/watched-patients.ts'
import { reviewIndexes } from './review/documents.ts'
import { Review } from './review/review.ts'

interface BuildOptions {
  logStream?: DestinationStream
  /** Called with every route. */
  onRoute?: onRouteHookHandler
}

/**
 * The audit service: POST /audit stores a record, and responds once the record is durable. Auditors ask and
 * review with another host key, which opens nothing else.
 */
export async function buildApp (config: Config, { logStream, onRoute }: BuildOptions = {}) {
  const app = createService('audit', config, logStream)
  if (onRoute) app.addHook('onRoute', onRoute)

  await app.register(secrets, { settings: config.secrets })
  const hostKey = acceptedHostKey(app.secrets, 'audit-host-key')
  const queryKey = app.secrets.open('audit-query-key', acceptedAndSealing)
  await app.register(database, {
    connection: connectionString(app.secrets, 'audit-db-connection'),
    name: config.DATABASE_NAME,
    indexes: [...registerIndexes, ...logIndexes, ...reviewIndexes]
  })
  const log = new TransparencyLog({
    database: app.database,
    key: openLogKey(app.secrets, config.LOG_ORIGIN),
    origin: config.LOG_ORIGIN,
    log: app.log,
    onBatch: () => review.wake()
  })
  const review = new Review(log.store, app.log, config.usualHours)
  const { sequencer } = log
  const register = new Register(app.database, app.log, (...block) => sequencer.stored(...block))
  const witnesses = new Witnesses({ witnesses: config.witnesses, log: log.witnessed, logger: app.log })
  sequencer.start()
  app.database.connected.then(() => witnesses.start())
  review.start()
  app.addHook('onClose', async () => {
    await witnesses.close()
    await register.close()
    await sequencer.close()
    await review.close()
  })

  app.register(health, { ready: () => app.secrets.loaded && app.database.ready })
  app.register(async (guarded) => {
    await guarded.register(guard, {
      config,
      key: (request) => isOfAuditor(request) ? queryKey : hostKey,
      record (refusal, headers) {
        return register.append({ sourceSystemName: 'audit', ...refusal }, traceId(headers))
      }
    })
    guarded.addHook('onRequest', waitForDatabase)
    guarded.register(recordRoutes, { register })
    guarded.register(async (queries) => {
      const records = new Records(app.database)
      const keys = sealingKeys(queryKey)
      const record = questionRecorder(register)
      const act = actionRecorder(register)
      const { findings, watchedPatients } = review.evaluator
      queries.register(queryRoutes, {
        records,
        answers: new Answers(records, keys),
        record,
        maxDays: config.QUERY_MAX_DAYS
      })
      queries.register(logRoutes, { log, record })
      queries.register(findingRoutes, { findings, keys, record, act })
      queries.register(watchedPatientRoutes, { watchedPatients, record, act })
      queries.register(statisticsRoutes, { store: log.store, review, record, maxDays: config.QUERY_MAX_DAYS })
      queries.register(evidenceRoutes, {
        records,
        log,
        record,
        origin: config.LOG_ORIGIN,
        maxDays: config.QUERY_MAX_DAYS,
        checkProofDir: config.CHECK_PROOF_DIR
      })
    })
  })
  return app
}

/** The routes with which auditors change something. */
const CHANGES = new Set([
  'PATCH /audit/findings/:findingId',
  'PUT /audit/watched-patients/:patientId',
  'DELETE /audit/watched-patients/:patientId'
])

/**
 * GET requires the query key, even for what is no route, and so do the changes of auditors; the operator's
 * /keys has the key of the service.
 */
function isOfAuditor ({ method, routeOptions: { url } }: FastifyRequest) {
  return method === 'GET' ? url !== '/keys' : CHANGES.has(`${method} ${url}`)
}

/** Cursors are sealed with keys derived from the query key: a rotation ends them with its grace period. */
function acceptedAndSealing (key: string) {
  return { ...acceptedKey(key), ...sealingKey(Buffer.from(key)) }
}
