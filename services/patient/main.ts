import { wake } from './wake.ts'

// Before this service loads what it needs itself, since that holds up all else: both start at the same time
await wake(process.env.AUDIT_URL)
const [{ runService: serve }, { buildApp }, { loadConfig }] = await Promise.all([import('#common/http/run-service.ts'), import('./app.ts'), import('./config.ts')])

await serve('patient', () => loadConfig(process.env), buildApp)
