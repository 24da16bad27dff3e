import { existsSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import Fastify from 'fastify'
import { Type } from 'typebox'
import { closing } from '#common/http/closing.ts'
import { DrainSettings, loadSettings, ServerSettings } from '#common/config.ts'
import { health } from '#common/http/health.ts'
import { runService } from '#common/http/run-service.ts'

const Settings = Type.Object({
  ...ServerSettings,
  ...DrainSettings,
  /** While this file is there, the service does not start. */
  BROKEN_FILE: Type.String(),
  /** While this one is, it holds what comes at /held. */
  HELD_FILE: Type.String()
})

// A small service that tells what it saw, and as which process
await runService('service', () => loadSettings(Settings, process.env), async ({
  BROKEN_FILE, HELD_FILE, LOG_LEVEL
}) => {
  if (existsSync(BROKEN_FILE)) process.exit(1)
  const app = Fastify({
    logger: { level: LOG_LEVEL }, return503OnClosing: false, forceCloseConnections: 'idle'
  })
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload))
  app.register(closing)
  app.register(health, { ready: () => true })
  app.all('/seen', async ({
    method, raw: { url, rawHeaders }
  }) => ({ pid: process.pid, method, url, rawHeaders }))
  app.get('/held', async () => {
    while (existsSync(HELD_FILE)) await sleep(10)
    return { pid: process.pid }
  })
  app.post('/echo', (request, reply) => reply.send(request.body as Readable))
  app.get('/died', () => process.kill(process.pid, 'SIGKILL'))
  app.get('/refused', (
    _request, reply
  ) => reply.code(503).type('application/problem+json').send('{"status":503}'))
  return app
})
