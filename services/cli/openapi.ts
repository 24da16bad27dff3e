import { readFile, writeFile } from 'node:fs/promises'
import { openApiOf } from './openapi/document.ts'
import { patientApi } from './openapi/patient.ts'

// Writes the OpenAPI document of the patient service: npm run openapi

const PATH = 'services/patient/openapi.json'
const file = new URL(`../../${PATH}`, import.meta.url)
const before = await readFile(file, 'utf8').catch(() => '')
const now = await openApiOf(patientApi)
await writeFile(file, now)
process.stdout.write(`${PATH} ${before === now ? 'is up to date' : 'updated'}\n`)
