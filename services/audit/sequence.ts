import type { FastifyBaseLogger } from 'fastify'
import type { DestinationStream } from 'pino'
import { connectionString, database } from '#common/database.ts'
import { createService } from '#common/http/create-service.ts'
import { secrets } from '#common/secrets/key-vault.ts'
import { STARTING_MS, withTimeout } from '#common/with-timeout.ts'
import type { Config } from './config.ts'
import { adoptUnlinked } from './log/adopt.ts'
import { openLogKey } from './log/keys.ts'
import { TransparencyLog } from './log/log.ts'
import { logIndexes } from './log/store.ts'
import { Witnesses } from './log/witnesses.ts'
import { registerIndexes } from './register.ts'
import { reviewIndexes } from './review/documents.ts'
import { Review } from './review/review.ts'

interface SequenceOptions {
  /** Whether to take in blocks that were stored without a link although there is a log. */
  adoptUnlinked?: boolean
  logStream?: DestinationStream
  /** Called once the database and the key are there. */
  onReady?: (log: FastifyBaseLogger) => void
}

/**
 * Adds every record that the log does not have to it, once, and has each witness cosign the result.
 *
 * @returns the size of the log, the number of chains that were taken in, and the names of the witnesses that
 *   did not cosign it
 * @throws {DatabaseUnavailable | LogDamaged}
 */
export async function sequence (config: Config, options: SequenceOptions = {}) {
  const app = createService('audit', config, options.logStream)
  try {
    await app.register(secrets, { settings: config.secrets })
    const key = openLogKey(app.secrets, config.LOG_ORIGIN)
    await app.register(database, {
      connection: connectionString(app.secrets, 'audit-db-connection'),
      name: config.DATABASE_NAME,
      indexes: [...registerIndexes, ...logIndexes, ...reviewIndexes]
    })
    await app.ready()
    const ready = Promise.all([app.database.connected, key.loaded])
    await withTimeout(STARTING_MS, ready, () => new Error('the database or Key Vault does not answer'))
    options.onReady?.(app.log)
    const log = new TransparencyLog({ database: app.database, key, origin: config.LOG_ORIGIN, log: app.log })
    const adopted = options.adoptUnlinked ? await adoptUnlinked(log.store) : 0
    await log.sequencer.sweep()
    await new Review(log.store, app.log, config.usualHours).follow()
    const size = await log.store.size()
    const witnesses = new Witnesses({ witnesses: config.witnesses, log: log.witnessed, logger: app.log })
    const unwitnessed = await witnesses.submitOnce().finally(() => witnesses.close())
    return { size, adopted, unwitnessed }
  } finally {
    await app.close()
  }
}
