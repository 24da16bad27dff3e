import { readFile, writeFile } from 'node:fs/promises'
import { auditApi } from './openapi/audit.ts'
import { openApiOf } from './openapi/document.ts'
import { patientApi } from './openapi/patient.ts'

// Writes the OpenAPI documents of the services: npm run openapi

for (const [service, api] of Object.entries({ patient: patientApi, audit: auditApi })) {
  const path = `services/${service}/openapi.json`
  const file = new URL(`../../${path}`, import.meta.url)
  const before = await readFile(file, 'utf8').catch(() => '')
  const now = await openApiOf(api)
  await writeFile(file, now)
  process.stdout.write(`${path} ${before === now ? 'is up to date' : 'updated'}\n`)
}
