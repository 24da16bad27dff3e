import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { LOG_LEVELS } from '../config.ts'
import { Problem } from './problems.ts'

const LogLevel = Type.Object({ level: Type.Enum(LOG_LEVELS) }, { additionalProperties: false })

/** Adds `/log-level`, which reads and sets the log level of this replica until it ends. */
export const logLevel: FastifyPluginAsyncTypebox = async (app) => {
  const { log } = app
  app.get('/log-level', async () => ({ level: log.level }))
  const schema = { body: LogLevel, response: { 200: LogLevel, '4xx': Problem } }
  app.put('/log-level', { schema }, async ({ body: { level } }) => {
    log.warn({ level }, 'log level changed')
    log.level = level
    return { level }
  })
}
