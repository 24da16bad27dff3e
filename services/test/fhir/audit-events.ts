import { execFile, spawnSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { test } from 'tap'
import { bundleOf, eventsOf, kindsOfRegister } from '../../audit/formats/fhir.ts'
import type { StoredRecord } from '../../common/audit-record.ts'
import { recordedOperations } from '../../patient/test/operations.ts'

const sh = promisify(execFile)
const HERE = fileURLToPath(new URL('.', import.meta.url))
const CACHE = fileURLToPath(new URL('../../../node_modules/.cache/fhir', import.meta.url))
const LIB = join(CACHE, 'lib-8.8.0')

const missing = ['mvn', 'java', 'javac'].filter((tool) => spawnSync(tool, ['-version']).error)
const skip = missing.length > 0 && `NOT VALIDATED: ${missing.join(' and ')} cannot be run`
if (skip) process.stderr.write(`${skip}\n`)

const [patient, other, testId] = [randomUUID(), randomUUID(), randomUUID()]
const version = randomUUID()
const caller = {
  actor: 'ward-7', clientAddress: '192.0.2.17', onBehalfOf: 'nurse-1138', purpose: 'TREAT'
} as const

type Content = Partial<StoredRecord> & Pick<StoredRecord, 'resource'>

const ofPatient = { type: 'patient', id: patient }
const ofTest = { type: 'test', id: testId, patientId: patient }
const ofTests = { type: 'test', patientId: patient }
const disclosedPatient = [{ id: patient, version }]
const disclosedTest = [{ id: testId, version }]

/** What the records of auditors are about, by operation; the others are about the whole register. */
const OF_REGISTER: Partial<Record<keyof typeof kindsOfRegister, { id?: string, patientId?: string }>> = {
  load: { id: randomUUID() },
  proof: { id: randomUUID() },
  'load-finding': { id: randomUUID() },
  'review-finding': { id: randomUUID() },
  'access-log': { patientId: patient },
  accounting: { patientId: patient },
  'watch-patient': { patientId: patient },
  'unwatch-patient': { patientId: patient }
}

/** A record of each operation on each type of resource, as it is when it succeeds. */
const done: Content[] = [
  ...['create', 'update', 'patch', 'delete', 'restore'].map((operation) => ({
    resource: { ...ofPatient, operation }
  })),
  { resource: { ...ofPatient, operation: 'merge', patientId: other } },
  ...['load', 'load-version', 'list-versions'].map((operation) => ({
    resource: { ...ofPatient, operation }, disclosed: disclosedPatient
  })),
  {
    resource: { type: 'patient', operation: 'search' },
    criteria: ['lastName', 'dateOfBirthTo'],
    disclosed: [...disclosedPatient, { id: other, version }]
  },
  { resource: { type: 'patient', operation: 'search' }, criteria: [], disclosed: [] },
  { resource: { type: 'patient', operation: 'maintenance' } },
  ...['create', 'update', 'patch', 'delete', 'move'].map((operation) => ({
    resource: { ...ofTest, operation }
  })),
  ...['load', 'load-version', 'list-versions'].map((operation) => ({
    resource: { ...ofTest, operation }, disclosed: disclosedTest
  })),
  ...['list', 'observations'].map((operation) => ({
    resource: { ...ofTests, operation }, criteria: ['code'], disclosed: disclosedTest
  })),
  ...Object.entries(kindsOfRegister).map(([operation, { profile }]) => ({
    resource: { type: 'audit-record', operation, ...OF_REGISTER[operation as keyof typeof OF_REGISTER] },
    sourceSystemName: 'audit',
    ...(profile === 'Query' && { criteria: ['from', 'to'] })
  })),
  {
    resource: { type: 'audit-record', id: 'a'.repeat(64), operation: 'archive' },
    sourceSystemName: 'register',
    count: 11
  }
]

const refused: Content[] = ['host-key', 'caller-address'].map((type) => ({
  resource: { type, operation: 'refuse' }, outcome: 'failure', count: 3
}))

/** Each with who and why, without either, failed, with an outcome that was found later. */
const variants: Content[] = [
  ...done.map((content) => ({ ...caller, ...content })),
  ...done,
  ...done.map((content) => ({ ...caller, ...content, outcome: 'failure' as const, attemptOf: randomUUID() })),
  ...done.map((content) => ({
    ...caller, ...content, outcome: 'success' as const, attemptOf: randomUUID(), reconciled: true as const
  })),
  {
    ...caller,
    purpose: 'BTG',
    reason: 'unconscious in the emergency room',
    resource: { ...ofPatient, operation: 'load' }
  },
  { ...caller, resource: { ...ofPatient, operation: 'load' }, disclosed: [] },
  ...refused
]

function recordOf (content: Content, i: number): StoredRecord {
  return {
    id: randomUUID(),
    seq: i + 1,
    createdDate: new Date('2026-11-01T10:00:00Z'),
    operationId: '0af7651916cd43dd8448eb211c80319c',
    sourceSystemName: 'patient',
    ...content
  }
}

test('every operation of the patient service is among the records', async (t) => {
  const known = new Set(done.map(({ resource }) => resource.operation))
  const operations = recordedOperations()
  t.ok(operations.length >= 14)
  t.same(operations.filter((operation) => !known.has(operation)), [])
})

test('the events of all records are valid, those of successes against BALP', { skip }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'audit-events-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  const records = variants.map(recordOf)
  const files: string[] = []
  const write = (name: string, resource: object) => {
    files.push(join(dir, `${name}.json`))
    writeFileSync(files.at(-1)!, JSON.stringify(resource))
  }
  for (const record of records) {
    for (const [i, event] of eventsOf(record).entries()) {
      const { operation, type } = record.resource
      const isDone = record.outcome !== 'failure' && !(operation === 'load' && record.disclosed?.length === 0)
      t.equal('meta' in event, isDone, `${operation} ${type}`)
      write(`${records.indexOf(record)}-${operation}-${type}-${i}`, event)
    }
  }
  write('bundle', bundleOf(records))
  // Proves that the validator refuses something
  const { outcome, ...wrong } = eventsOf(records[0]!)[0]!
  write('wrong', wrong)

  if (!existsSync(LIB)) {
    mkdirSync(CACHE, { recursive: true })
    await sh('mvn', [
      '-q', '-f', join(HERE, 'pom.xml'), 'dependency:copy-dependencies', `-DoutputDirectory=${LIB}`
    ])
  }
  const { stdout } = await sh('java', ['-cp', `${LIB}/*:${HERE}`, join(HERE, 'Validate.java'), ...files], {
    maxBuffer: 2 ** 26
  })
  const lines = stdout.split('\n').filter((line) => /^(ok|invalid) /.test(line))
  t.equal(lines.length, files.length)
  t.match(lines.at(-1), /^invalid .*wrong/)
  t.same(lines.slice(0, -1).filter((line) => !line.startsWith('ok ')), [])
})
