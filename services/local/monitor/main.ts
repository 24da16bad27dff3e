import { serve } from '#common/serve.ts'
import { buildApp } from './app.ts'
import { loadConfig } from './config.ts'

await serve('monitor', () => loadConfig(process.env), buildApp)
