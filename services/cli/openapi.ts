import { readFile, writeFile } from 'node:fs/promises'
import { openApiOf } from './openapi/document.ts'
import { patientApi } from './openapi/patient.ts'

// Writes the OpenAPI documents of the services: npm run openapi

const documents = { 'services/patient/openapi.json': patientApi }

for (const [path, api] of Object.entries(documents)) {
  const file = new URL(`../../${path}`, import.meta.url)
  const before = await readFile(file, 'utf8').catch(() => '')
  const now = await openApiOf(api)
  await writeFile(file, now)
  process.stdout.write(`${path} ${before === now ? 'is up to date' : 'updated'}\n`)
}
