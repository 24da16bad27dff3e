import { serve } from '#common/serve.ts'
import { buildApp } from './app.ts'
import { loadConfig } from './config.ts'

const config = loadConfig(process.env)
await serve(await buildApp(config), config)
