import closeWithGrace from 'close-with-grace'
import { pino } from 'pino'
import { lineDestination, loggerOptions } from '#common/telemetry/logger.ts'
import { loadConfig } from './config.ts'
import { startDatabase } from './server.ts'

try {
  const { logLevel, ...options } = loadConfig(process.env)
  const logger = pino(loggerOptions('database', logLevel), lineDestination())
  const database = await startDatabase({ ...options, logger })
  closeWithGrace({ delay: 1900, logger }, async ({ err }) => {
    if (err) logger.error({ err }, 'closing after an error')
    await database.close()
  })
} catch (error) {
  process.stderr.write(`database: ${(error as Error).message}\n`)
  process.exitCode = 1
}
