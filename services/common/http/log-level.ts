import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { LOG_LEVELS } from '../config.ts'
import { Problem } from './problems.ts'

const LogLevel = Type.Object({ level: Type.Enum(LOG_LEVELS) }, { additionalProperties: false })

/** The level of a replica's log, until it ends. */
export const logLevel: FastifyPluginAsyncTypebox = async (app) => {
  const { log } = app
  app.get('/log-level', async () => ({ level: log.level }))
  app.put('/log-level', { schema: { body: LogLevel, response: { 200: LogLevel, '4xx': Problem } } }, async ({ body: { level } }) => {
    log.warn({ level }, 'the level of this log was set')
    log.level = level
    return { level }
  })
}
