import { serve } from '#common/serve.ts'
import { buildApp } from './app.ts'
import { loadConfig } from './config.ts'

await serve('ingress', () => loadConfig(process.env), buildApp)
