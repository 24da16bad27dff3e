import { runService } from '#common/http/run-service.ts'
import { buildApp } from './app.ts'
import { loadConfig } from './config.ts'

await runService('auditor', () => loadConfig(process.env), buildApp)
