import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { BSON, type Document } from 'mongodb'
import { test } from 'tap'
import { exposed } from '../digits.ts'
import { patient } from './app.ts'

// Written by the first version of the service, which searched for exact values and normalised no text
const text = await readFile(new URL('version-1.json', import.meta.url), 'utf8')
const before = BSON.EJSON.parse(text) as { patients: Document[], tests: Document[], claims: Document[] }
const [bob, ada, zoe] = ['Bob', 'Augusta Ada', 'Zoe\u0308'].map((name) => {
  return before.patients.find(({ firstName }) => firstName === name)!
}) as [Document, Document, Document]

/** What the first version answered for a document. */
const answer = (document: Document) => JSON.parse(JSON.stringify(exposed({ id: document._id, ...document })))

async function running (t: Parameters<typeof patient>[0]) {
  const system = await patient(t, async (db) => {
    for (const [name, documents] of Object.entries(before)) await db.collection(name).insertMany(documents)
  })
  const found = async (criteria: object, query = '') =>
    (await system.call('POST', `/patient/search${query}`, criteria)).json() as Array<{ id: string }>
  const migrated = async () => {
    while ((await found({ lastName: 'LOVELACE' })).length === 0) await sleep(20)
  }
  return { ...system, found, migrated }
}

test('documents of the first version are loaded, listed and searched as they are', async (t) => {
  const { call, found, migrated } = await running(t)
  await migrated()
  const live = before.patients.filter(({ _deleted }) => !_deleted)
  for (const document of live) {
    const loaded = await call('GET', `/patient/${document._id}`)
    t.strictSame(loaded.json(), answer(document))
    t.equal(loaded.headers.etag, `"${document._audit}"`)
  }
  for (const sort of ['id', '-id', 'lastName', '-lastName', 'dateOfBirth', '-lastUpdated']) {
    t.equal((await found({}, `?sort=${sort}`)).length, live.length, sort)
  }
  for (const criteria of [{ lastName: 'smith' }, { fullName: 'zoe smith' }, { insuranceNumber: 'qq1234' },
    { preferredContactNumber: '+442079460018' }, { firstNamePrefix: 'ZO' }]) {
    t.match(await found(criteria), [{ id: zoe._id }], JSON.stringify(criteria))
  }
  for (const sort of ['id', '-lastUpdated', 'effective', '-effective']) {
    const listed = (await call('GET', `/patient/${ada._id}/tests?sort=${sort}`)).json()
    t.strictSame(new Set(listed), new Set(before.tests.map(answer)), sort)
  }
  t.equal((await call('GET', `/patient/${ada._id}/observations?code=hb`)).json().length, 3)
})

test('they are changed and deleted as any other', async (t) => {
  const { call } = await running(t)
  const patched = await call('PATCH', `/patient/${ada._id}`, { lastName: 'King' })
  t.match(patched.json(), { lastName: 'King', dateOfBirth: '1815-12-10' })
  const { id, lastUpdated, ...details } = answer(bob)
  t.equal((await call('PUT', `/patient/${bob._id}`, details)).statusCode, 200)
  for (const { _id } of before.tests) {
    const url = `/patient/${ada._id}/tests/${_id}`
    t.match((await call('PATCH', url, { performer: 'Laboratory 5' })).json(), { performer: 'Laboratory 5' })
    t.equal((await call('DELETE', url)).statusCode, 204)
  }
  t.equal((await call('DELETE', `/patient/${ada._id}`)).statusCode, 204)
})
