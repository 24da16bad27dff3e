import { Type } from 'typebox'
import { DrainSettings, loadSettings, ServerSettings } from '../config.ts'
import { health } from '../http/health.ts'
import { runService } from '../http/run-service.ts'
import { createService } from '../http/create-service.ts'

// A small service whose responses name its address
await runService(
  'replica',
  () => loadSettings(Type.Object({ ...ServerSettings, ...DrainSettings }), process.env),
  async (config) => {
    const app = createService('replica', config)
    app.register(health, { ready: () => true })
    app.all('/patient*', async () => ({ replica: config.HOST }))
    return app
  }
)
