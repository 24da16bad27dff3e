import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { test } from 'tap'
import type { TSchema } from 'typebox'
import { Pool } from 'undici'
import { PatientCriteria } from '../../patient/schemas/criteria.ts'
import {
  holdsNoSecret, isProblem, newObservation, newPatient, newTest, secret, secretNumber, startApi, testLogs
} from './api.ts'

const api = await startApi()
const { path: patientPath } = await api.create()
const { path: testPath } = await api.createTest(patientPath)
const before = await whatIsThere()

async function whatIsThere () {
  const collections = JSON.parse(await api.dump())
  collections.patients = collections.patients.filter(({ _deleted }: any) => !_deleted)
  return collections
}

const MIB = 2 ** 20
const criteria: Record<string, TSchema & { type?: string }> = PatientCriteria.properties
const CRITERIA = Object.keys(criteria)
const NAMES = [
  ...CRITERIA, 'dateOfBirth', 'lastUpdated', 'patientId', 'performer', 'orderReference', 'observations',
  'code', 'measurement', 'interpretation', 'issued', 'status', 'system', 'value'
]

type Valid = (changes?: object) => object

interface Route {
  method: 'POST' | 'PUT' | 'PATCH'
  path: string
  valid: Valid
  properties: string[]
}

const PROPERTIES = [
  'firstName', 'lastName', 'fullName', 'gender', 'dateOfBirth', 'postCode', 'insuranceNumber',
  'preferredContactNumber'
]

const newSearch: Valid = (changes) => ({ firstName: secret(), ...changes })
const testProperties = ['patientId', 'performer', 'orderReference', 'observations']
const patchedTest = ['patientId', 'orderReference', 'observations']
const updated = ['id', 'lastUpdated', 'firstName', 'gender', 'insuranceNumber']
const patched = ['id', 'lastName', 'dateOfBirth', 'preferredContactNumber']

const routes: Route[] = [
  { method: 'POST', path: '/patient', valid: newPatient, properties: PROPERTIES },
  { method: 'PUT', path: patientPath, valid: newPatient, properties: updated },
  { method: 'PATCH', path: patientPath, valid: newPatient, properties: patched },
  { method: 'POST', path: '/patient/search', valid: newSearch, properties: CRITERIA },
  { method: 'POST', path: `${patientPath}/tests`, valid: newTest, properties: testProperties },
  { method: 'PUT', path: testPath, valid: newTest, properties: ['id', 'performer', 'observations'] },
  { method: 'PATCH', path: testPath, valid: newTest, properties: patchedTest }
]

const wrongValues: Array<[string, () => unknown]> = [
  ['{"$gt": ""}', () => ({ $gt: '' })],
  ['{"$ne": …}', () => ({ $ne: secret() })],
  ['{"$regex": …}', () => ({ $regex: secret() })],
  ['a number', secretNumber],
  ['true', () => true],
  ['an object', () => ({ [secret()]: secret() })],
  ['an array of a text', () => [secret()]]
]

const deep = (depth: number) => `${'['.repeat(depth)}"${secret()}"${']'.repeat(depth)}`
/** The JSON of a valid body with one more member, as it is written. */
const withMember = (valid: Valid, member: string) => JSON.stringify(valid()).replace(/}$/, `,${member}}`)
const bytes = (text: string, replacement: number[]) => {
  const [head, tail] = text.split('@') as [string, string]
  return Buffer.concat([Buffer.from(head), Buffer.from(replacement), Buffer.from(tail)])
}

const rawBodies: Array<[string, (valid: Valid) => string | Buffer]> = [
  ['nothing', () => ''],
  ['a blank', () => ' '],
  ['null', () => 'null'],
  ['true', () => 'true'],
  ['a number', () => String(secretNumber())],
  ['a text', () => `"${secret()}"`],
  ['[]', () => '[]'],
  ['an array of a good body', (valid) => JSON.stringify([valid()])],
  ['no JSON at all', () => secret()],
  ['a form', () => `firstName=${secret()}&gender=male`],
  ['XML', () => `<firstName>${secret()}</firstName>`],
  ['JSON cut short', (valid) => JSON.stringify(valid()).slice(0, -1)],
  ['two bodies', (valid) => JSON.stringify(valid()).repeat(2)],
  ['a comma too many', (valid) => JSON.stringify(valid()).replace(/}$/, ',}')],
  ['single quotes', (valid) => JSON.stringify(valid()).replaceAll('"', "'")],
  ['a comment', (valid) => `${JSON.stringify(valid())}//${secret()}`],
  ['NaN', (valid) => withMember(valid, '"lastName":NaN')],
  ['a control character', (valid) => withMember(valid, `"lastName":"${secret()}\u0001"`)],
  ['a byte that is not UTF-8', () => bytes(`{"lastName":"${secret()}@"}`, [0xff])],
  ['an overlong encoding', () => bytes(`{"lastName":"${secret()}@"}`, [0xc0, 0xaf])],
  ['an encoded surrogate', () => bytes(`{"lastName":"${secret()}@"}`, [0xed, 0xa0, 0x80])],
  ['a character cut short', () => bytes(`{"lastName":"${secret()}@"}`, [0xf0, 0x9f, 0x98])],
  ['UTF-16', (valid) => Buffer.from(JSON.stringify(valid()), 'utf16le')],
  ['gzip', (valid) => gzipSync(JSON.stringify(valid()))],
  ['an unpaired surrogate', (valid) => withMember(valid, `"lastName":"${secret()}\\ud800"`)],
  ['__proto__', (valid) => withMember(valid, `"__proto__":{"${secret()}":"${secret()}"}`)],
  ['__proto__, escaped', (valid) => withMember(valid, `"\\u005f_proto__":{"lastName":"${secret()}"}`)],
  ['constructor.prototype', (valid) => {
    return withMember(valid, `"constructor":{"prototype":{"lastName":"${secret()}"}}`)
  }],
  ['__proto__ further down', (valid) => withMember(valid, `"lastName":{"__proto__":"${secret()}"}`)],
  ['an unknown property', (valid) => JSON.stringify(valid({ [secret()]: secret() }))],
  ['a property named as an operator', (valid) => JSON.stringify(valid({ $set: { lastName: secret() } }))],
  ['a property in another case', (valid) => JSON.stringify(valid({ FirstName: secret() }))],
  ['a stored property', (valid) => JSON.stringify(valid({ _audit: secret(), _shardKey: secret() }))],
  ['a property of Object', (valid) => {
    return JSON.stringify(valid({ toString: secret(), hasOwnProperty: secret() }))
  }],
  ['the last of two equal names wrong', (valid) => withMember(valid, `"firstName":{"$gt":"${secret()}"}`)],
  ['nesting 1,000 deep', (valid) => withMember(valid, `"lastName":${deep(1_000)}`)],
  ['nesting 100,000 deep', () => deep(100_000)],
  ['nesting 100,000 deep in an object', (valid) => withMember(valid, `"lastName":${deep(100_000)}`)],
  ['nesting that never ends', () => '{"lastName":'.repeat(50_000)],
  ['10,000 unknown properties', (valid) => {
    return JSON.stringify(valid(Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`${i}x`, i]))))
  }],
  ['a name of 100,000 characters', (valid) => JSON.stringify(valid({ [secret().padEnd(100_000, 'x')]: 1 }))]
]

let count = 0

for (const { method, path, valid, properties } of routes) {
  const ids = /[0-9a-f-]{36}/
  const name = `${method} ${path.replace(ids, '{patientId}').replace(ids, '{testId}')}`

  const isRefused = async (t: any, what: string, body: string | Buffer) => {
    count++
    const answer = await api.call(method, path, { body })
    t.equal(answer.status, 400, what)
    if (answer.status !== 400) return
    isProblem(t, answer, 400)
    for (const { pointer } of answer.body.errors ?? []) {
      const [root, ...tokens] = pointer.split('/')
      const isKnown = (token: string) => NAMES.includes(token) || /^\d+$/.test(token)
      t.ok(root === '#' && tokens.every(isKnown), `${what}: ${pointer}`)
    }
  }

  test(`${name} refuses what is no JSON object of its schema`, async (t) => {
    for (const [what, body] of rawBodies) await isRefused(t, what, body(valid))
  })

  test(`${name} refuses values of wrong types`, async (t) => {
    for (const property of properties) {
      for (const [what, value] of wrongValues) {
        if (value() === true && criteria[property]?.type === 'boolean') continue
        await isRefused(t, `${property}: ${what}`, JSON.stringify(valid({ [property]: value() })))
      }
    }
  })

  test(`${name} refuses more than 1 MiB with 413`, async (t) => {
    count += 4
    const large = JSON.stringify(valid({ insuranceNumber: secret().padEnd(2 * MIB, 'x') }))
    for (const body of [large, JSON.stringify(valid()).padEnd(MIB + 1), '['.repeat(2 * MIB)]) {
      isProblem(t, await api.call(method, path, { body }), 413, 'BODY_TOO_LARGE')
    }
    const pool = new Pool(api.system.baseUrl)
    t.teardown(() => pool.destroy())
    const pieces = Readable.from([large.slice(0, MIB), large.slice(MIB)])
    const key = { 'ocp-apim-subscription-key': api.system.subscriptionKey }
    const { statusCode, headers, body } = await pool.request({ method, path, body: pieces, headers: key })
    t.equal(statusCode, 413, 'in pieces too')
    t.match(headers['content-type'], 'application/problem+json')
    holdsNoSecret(t, await body.text())
  })
}

test('an observation refuses values of wrong types', async (t) => {
  for (const property of Object.keys(newObservation())) {
    for (const [what, value] of wrongValues) {
      count++
      const observations = [newObservation(), { ...newObservation(), [property]: value() }]
      const answer = await api.post(`${patientPath}/tests`, newTest({ observations }))
      isProblem(t, answer, 400, 'INVALID_REQUEST')
      t.equal(answer.body.errors[0].pointer, `#/observations/1/${property}`, what)
    }
  }
})

test('all that is wrong with a body is reported at once', async (t) => {
  const wrong = { firstName: secretNumber(), gender: secret(), dateOfBirth: '2023-02-29', [secret()]: 1 }
  const { body } = await api.post('/patient', wrong)
  const pointers = body.errors.map(({ pointer }: { pointer: string }) => pointer)
  t.strictSame(pointers.sort(), ['#', '#/dateOfBirth', '#/firstName', '#/gender'])
})

test('1 MiB is not too large', async (t) => {
  const created = await api.post('/patient', JSON.stringify(newPatient()).padEnd(MIB))
  t.equal(created.status, 201)
  t.equal((await api.delete(created.headers.location!)).status, 204)
})

test('at least 200 malformed bodies were refused, and nothing was changed by them', async (t) => {
  t.ok(count >= 200, `${count}`)
  t.strictSame(await whatIsThere(), before)
  t.notMatch(api.system.logs(), '"statusCode":500')
})

test('a service that refused them lives on, on the same process', async (t) => {
  t.notMatch(api.system.logs(), 'starting it again')
  t.equal((await api.get(patientPath)).status, 200)
})

test('a body with a Content-Encoding is refused through the gateway too', async (t) => {
  const gzip = { 'content-encoding': 'gzip' }
  const answer = await api.post('/patient', gzipSync(JSON.stringify(newPatient())), gzip)
  isProblem(t, answer, 415, 'ENCODED_BODY')
  t.equal(answer.headers['accept-encoding'], 'identity')
})

testLogs(api)
