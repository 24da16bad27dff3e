import { setTimeout as sleep } from 'node:timers/promises'
import { Type } from 'typebox'
import { DrainSettings, loadSettings, ServerSettings } from '../config.ts'
import { health } from '../health.ts'
import { serve } from '../serve.ts'
import { createService } from '../service.ts'

// A small service that tells which replica it is
await serve('replica', () => loadSettings(Type.Object({ ...ServerSettings, ...DrainSettings }), process.env), async (config) => {
  const app = createService('replica', config)
  app.register(health, { ready: () => true })
  app.all('/patient*', async () => {
    await sleep(2)
    return { replica: config.HOST }
  })
  return app
})
