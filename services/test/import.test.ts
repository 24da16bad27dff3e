import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { Pool } from 'undici'
import { parseExact } from '../cli/import/fhir/source.ts'
import {
  idOf, missing, observationBack, patientBack, reportBack, singleBack
} from '../cli/import/test/back.ts'
import { generate } from '../cli/import/test/generate.ts'
import { startSystem } from './system.ts'

// As .taprc has it, for a run without it: tap's own 30 s are short on a busy machine
t.setTimeout(600_000)

type Json = Record<string, any>

const IMPORT = fileURLToPath(import.meta.resolve('../cli/import.ts'))
const { IMPORT_SAMPLE } = process.env

const system = await startSystem({ quiet: true })
const pool = new Pool(system.baseUrl, { connections: 8 })
t.teardown(async () => {
  await pool.destroy()
  await system.stop()
})

/** What is imported, as it is in the file. */
const sample = IMPORT_SAMPLE ?? generatedSample()
const resources = readFileSync(sample, 'utf8').trim().split('\n').map((line) => parseExact(line) as Json)
const ofType = (type: string) => resources.filter(({ resourceType }) => resourceType === type)
const patients = ofType('Patient')
const reports = ofType('DiagnosticReport')
const observations = ofType('Observation')
const named = new Set(reports.flatMap(({ result = [] }) =>
  result.map(({ reference }: Json) => reference.replace('urn:uuid:', ''))))

function generatedSample () {
  process.stderr.write('*** NOT TESTED: the import of public data, since IMPORT_SAMPLE is not set ***\n')
  const file = join(system.localDir, 'sample.ndjson')
  writeFileSync(file, [...generate(20)].map((line) => `${line}\n`).join(''))
  return file
}

async function runImport (...args: string[]) {
  const child = spawn(process.execPath, [IMPORT, ...args], {
    env: { ...process.env, LOCAL_DIR: system.localDir, SUBSCRIPTION_KEY: '' }
  })
  const [stdout, stderr, [code]] =
    await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { code, stdout, stderr }
}

async function get (path: string): Promise<Array<Json>> {
  const headers = { 'ocp-apim-subscription-key': system.subscriptionKey }
  const response = await pool.request({ method: 'GET', path, headers })
  t.equal(response.statusCode, 200, 'it is read through the gateway')
  const next = /<([^>]*)>; *rel="?next/.exec(String(response.headers.link ?? ''))?.[1]
  const items = parseExact(await response.body.text()) as Json[]
  return next ? [...items, ...await get(next)] : items
}

async function search (body: object, cursor = '/patient/search'): Promise<Json[]> {
  const response = await pool.request({
    method: 'POST',
    path: cursor,
    headers: { 'ocp-apim-subscription-key': system.subscriptionKey },
    body: JSON.stringify(body)
  })
  const next = /<([^>]*)>; *rel="?next/.exec(String(response.headers.link ?? ''))?.[1]
  const items = parseExact(await response.body.text()) as Json[]
  return next ? [...items, ...await search(body, next)] : items
}

const row = (type: string, ...counts: number[]) =>
  new RegExp(`^ *${type} +${counts.map((count) => count.toLocaleString('en')).join(' +')}( |$)`, 'm')

t.test('a dry run validates everything, and stores nothing', async (t) => {
  const { code, stdout } = await runImport('--dry-run', sample)
  t.equal(code, 0, stdout)
  t.match(stdout, row('Patient', patients.length, 0, 0, 0))
  t.strictSame(await search({}), [])
})

let report = ''

t.test('everything is stored', async (t) => {
  const { code, stdout, stderr } = await runImport(sample)
  t.equal(code, 0, stdout + stderr)
  report = stdout
  t.match(stdout, row('Patient', patients.length, 0, 0, 0))
  t.match(stdout, row('DiagnosticReport', reports.length, 0, 0, 0))
  t.match(stdout, row('Observation', observations.length, 0, 0, 0))
  t.match(stdout, `(${named.size.toLocaleString('en')} within other test results)`)
  t.match(stderr, /^Storing 100 % .* resources\/s$/m)
})

t.test('what is stored equals the source, element by element', async (t) => {
  const stored = new Map<string, Json>()
  const counts = { observations: 0, components: 0 }
  for (const patient of await search({})) {
    const id = idOf(patient.identifiers)
    const subject = `urn:uuid:${id}`
    stored.set(`Patient/${id}`, patientBack(patient))
    for (const test of await get(`/patient/${patient.id}/tests?limit=200`)) {
      const isReport = test.code !== undefined
      counts.observations += test.observations.length
      for (const observation of test.observations) {
        counts.components += observation.components?.length ?? 0
        if (isReport) stored.set(`Observation/${observation.id}`, observationBack(observation, subject))
      }
      if (isReport) stored.set(`DiagnosticReport/${idOf(test.identifiers)}`, reportBack(test, subject))
      else stored.set(`Observation/${idOf(test.identifiers)}`, singleBack(test, subject))
    }
  }
  t.equal(stored.size, resources.length)
  t.equal(counts.observations, observations.length)
  t.equal(counts.components, observations.flatMap(({ component = [] }) => component).length)
  const lost = new Map<string, number>()
  for (const resource of resources) {
    const { resourceType, id } = resource
    const back = stored.get(`${resourceType}/${id}`)
    if (!back) return t.fail(`${resourceType} ${id} is not there`)
    const differing = missing(resource, back)
    const filledIn = [...missing(back, resource).keys()].filter((path) => !differing.has(path))
    if (filledIn.length > 0) t.strictSame(filledIn, [], `${resourceType} ${id}`)
    for (const [path, count] of differing) {
      lost.set(`${resourceType}.${path}`, (lost.get(`${resourceType}.${path}`) ?? 0) + count)
    }
  }
  const [, left = ''] = report.split('Left behind')
  const reported = [...left.matchAll(/^ *([\d,]+) {2}(\S+)$/gm)]
    .map(([, count, path]) => [path!, Number(count!.replace(',', ''))] as const)
  t.strictSame([...lost].sort(), reported.toSorted(), 'what is not stored is reported')
})

t.test('what is there already is not stored again', async (t) => {
  const { code, stdout } = await runImport(sample)
  t.equal(code, 0, stdout)
  t.match(stdout, row('Patient', 0, patients.length, 0, 0))
  t.match(stdout, row('Observation', 0, observations.length, 0, 0))
  t.equal((await search({})).length, patients.length)
})

t.test('without its state, keys prevent that anything is stored twice', async (t) => {
  const state = join(system.localDir, 'other')
  const { code, stdout } = await runImport('--state', state, '--concurrency', '3', sample)
  t.equal(code, 0, stdout)
  t.match(stdout, row('DiagnosticReport', 0, reports.length, 0, 0))
  t.equal((await search({})).length, patients.length)
})
