import closeWithGrace from 'close-with-grace'
import { pino } from 'pino'
import { lineDestination, loggerOptions } from '#common/telemetry/logger.ts'
import { loadConfig } from './config.ts'
import { startDatabase } from './server.ts'
import type { RunningDatabase } from './server.ts'

let starting: Promise<RunningDatabase> | undefined
let signals: { uninstall: () => void } | undefined

try {
  const { logLevel, ...options } = loadConfig(process.env)
  const logger = pino(loggerOptions('database', logLevel), lineDestination())
  // Before the start: a signal that arrives during it, or right after "listening", must close the database as
  // well
  signals = closeWithGrace({ delay: 1900, logger }, async ({ err }) => {
    if (err) logger.error({ err }, 'closing after an error')
    const database = await starting?.catch(() => undefined)
    await database?.close()
  })
  starting = startDatabase({ ...options, logger })
  await starting
} catch (error) {
  signals?.uninstall()
  process.stderr.write(`database: ${(error as Error).message}\n`)
  process.exitCode = 1
}
