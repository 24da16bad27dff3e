import { randomUUID } from 'node:crypto'
import { test } from 'tap'
import type { StoredRecord } from '#common/audit-record.ts'
import type { Activity } from '../../review/documents.ts'
import { isReviewed, matchesOfActor, matchesOfPerson, thresholds, type Known } from '../../review/rules.ts'
import { UsualHours } from '../../review/usual-hours.ts'

const NOON = Date.parse('2026-11-28T12:00:00Z')
const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

function activity (more: Partial<Activity> = {}): Activity {
  const since = new Date(NOON - 60 * DAY_MS)
  return { _id: 'x', _shardKey: 'x', upTo: 0, since, patients: [], refused: [], ...more }
}

function known (more: Partial<Known> = {}): Known {
  const usualHours = new UsualHours('06:00-22:00', 'UTC')
  const nothing = { isWatched: () => false, isFirstContact: () => false }
  return { person: activity(), actor: activity(), ...nothing, usualHours, ...more }
}

function load (patient: string = randomUUID(), more: Partial<StoredRecord> = {}): StoredRecord {
  return {
    id: randomUUID(),
    seq: 1,
    createdDate: new Date(NOON),
    operationId: 'x',
    sourceSystemName: 'patient',
    resource: { type: 'patient', id: patient, operation: 'load' },
    actor: 'ward-7',
    onBehalfOf: 'nurse-1',
    disclosed: [{ id: patient, version: 'v' }],
    ...more
  }
}
const refused = (patient: string, more: Partial<StoredRecord> = {}) =>
  load(patient, { disclosed: [], ...more })
const after = (ms: number) => ({ createdDate: new Date(NOON + ms) })

test('many patients within minutes are a match, the same ones again and slowly are not', async (t) => {
  const { minutes, patients, patientsOfActor } = thresholds['many-patients']
  const fast = known()
  for (let i = 0; i < patients; i++) t.strictSame(matchesOfPerson(load(), fast), [])
  const match = { rule: 'many-patients', window: '2026-11-28T12' }
  t.strictSame(matchesOfPerson(load(), fast), [match])
  t.equal(fast.person.patients.length, patients)

  const same = known()
  for (let i = 0; i < 2 * patients; i++) t.strictSame(matchesOfPerson(load('p-1'), same), [])
  const slow = known()
  for (let i = 0; i < 2 * patients; i++) {
    t.strictSame(matchesOfPerson(load(undefined, after(i * minutes * MINUTE_MS / (patients - 1))), slow), [])
  }
  const search = (count: number) => load(undefined, {
    resource: { type: 'patient', operation: 'search' },
    disclosed: Array.from({ length: count }, () => ({ id: randomUUID(), version: 'v' }))
  })
  t.strictSame(matchesOfPerson(search(patients + 1), known()), [match])
  const ofActor = { ...search(patientsOfActor), onBehalfOf: undefined }
  const system = known()
  t.strictSame(matchesOfPerson(ofActor, system), [])
  t.strictSame(matchesOfPerson(load(undefined, { onBehalfOf: undefined }), system), [match])
})

test('accesses at night are a match from a number on, and count by night', async (t) => {
  const { accesses } = thresholds['out-of-hours']
  const night = known()
  const at = (time: string) => load('p-1', { createdDate: new Date(time) })
  for (let i = 0; i < accesses; i++) {
    t.strictSame(matchesOfPerson(at(i % 2 ? '2026-11-28T22:00:00Z' : '2026-11-29T05:59:59Z'), night), [])
  }
  t.strictSame(matchesOfPerson(at('2026-11-29T06:00:00Z'), night), [])
  t.strictSame(matchesOfPerson(at('2026-11-29T05:00:00Z'), night), [
    { rule: 'out-of-hours', window: '2026-11-28' }
  ])
  t.strictSame(matchesOfPerson(at('2026-11-29T23:00:00Z'), night), [])
})

test('usual hours are those of the time zone, with its summer time, and may span midnight', async (t) => {
  const london = new UsualHours('06:00-22:00', 'Europe/London')
  t.equal(london.nightOf(new Date('2026-07-01T05:00:00Z')), undefined)
  t.equal(london.nightOf(new Date('2026-07-01T04:59:59Z')), '2026-06-30')
  t.equal(london.nightOf(new Date('2026-07-01T21:00:00Z')), '2026-07-01')
  t.equal(london.nightOf(new Date('2026-12-01T05:00:00Z')), '2026-11-30')
  t.equal(london.nightOf(new Date('2026-12-01T06:00:00Z')), undefined)
  const kathmandu = new UsualHours('06:00-22:00', 'Asia/Kathmandu')
  t.equal(kathmandu.nightOf(new Date('2026-12-01T00:15:00Z')), undefined)
  t.equal(kathmandu.nightOf(new Date('2026-12-01T00:14:59Z')), '2026-11-30')
  const nights = new UsualHours('20:00-08:00', 'UTC')
  t.equal(nights.nightOf(new Date('2026-12-01T07:59:00Z')), undefined)
  t.equal(nights.nightOf(new Date('2026-12-01T08:00:00Z')), '2026-11-30')
  t.equal(new UsualHours('00:00-00:00', 'UTC').nightOf(new Date('2026-12-01T03:00:00Z')), undefined)
  t.throws(() => new UsualHours('06:00-22:00', 'Nowhere/Town'), RangeError)
})

test('many first contacts in a day are a match, but not in the first days of an actor', async (t) => {
  const { contacts, learningDays } = thresholds['first-contact']
  const isFirstContact = () => true
  const old = known({ isFirstContact })
  // Slowly, so that no other rule matches
  const at = (i: number) => after(i * MINUTE_MS * 2)
  for (let i = 0; i < contacts; i++) t.strictSame(matchesOfPerson(load(undefined, at(i)), old), [])
  t.strictSame(matchesOfPerson(load(undefined, at(contacts)), old), [
    { rule: 'first-contact', window: '2026-11-28' }
  ])
  const since = new Date(NOON + contacts * MINUTE_MS * 2 - learningDays * DAY_MS + 1)
  const others = [
    known({ isFirstContact, person: old.person, actor: activity({ since }) }),
    known({ isFirstContact: () => false, person: old.person })
  ]
  for (const other of others) t.strictSame(matchesOfPerson(load(undefined, at(contacts)), other), [])
  const search = load(undefined, { ...at(contacts), resource: { type: 'patient', operation: 'search' } })
  t.strictSame(matchesOfPerson(search, old), [])
  const create = { type: 'patient', id: 'p', operation: 'create' }
  t.strictSame(matchesOfPerson(load('p', { ...at(contacts), resource: create }), old), [])
})

test('an access after a refused one to the same patient is a match, once and in time', async (t) => {
  const { minutes } = thresholds['refused-then-succeeded']
  const match = [{ rule: 'refused-then-succeeded', patientId: 'p-1', window: '2026-11-28' }]
  const one = known()
  t.strictSame(matchesOfPerson(refused('p-1'), one), [])
  t.strictSame(matchesOfPerson(load('p-2'), one), [])
  t.strictSame(matchesOfPerson(load('p-1', after(minutes * MINUTE_MS)), one), match)
  t.strictSame(matchesOfPerson(load('p-1', after(minutes * MINUTE_MS)), one), [])
  t.strictSame(matchesOfPerson(refused('p-1'), one), [])
  t.strictSame(matchesOfPerson(load('p-1', after(minutes * MINUTE_MS + 1)), one), [])
  const write = known()
  const test = { type: 'test', id: 't-1', patientId: 'p-1', operation: 'update' }
  const update = (outcome?: 'success' | 'failure') =>
    matchesOfPerson(load('', { resource: test, disclosed: undefined, outcome }), write)
  t.strictSame(update('failure'), [])
  t.strictSame(update(), [], 'an attempt')
  t.strictSame(update('success'), match)
})

test('each access to a watched patient is a match, in a search too', async (t) => {
  const watching = known({ isWatched: (patient) => patient.startsWith('watched') })
  const match = (patientId: string) => ({ rule: 'watched-patient', patientId, window: '2026-11-28' })
  t.strictSame(matchesOfPerson(load('p-1'), watching), [])
  t.strictSame(matchesOfPerson(load('watched-1'), watching), [match('watched-1')])
  const disclosed = ['watched-1', 'p-1', 'watched-2'].map((id) => ({ id, version: 'v' }))
  const search = load('', { resource: { type: 'patient', operation: 'search' }, disclosed })
  t.strictSame(matchesOfPerson(search, watching), [match('watched-1'), match('watched-2')])
  t.strictSame(matchesOfPerson(refused('watched-1'), watching), [], 'nothing was disclosed')
})

test('each access in an emergency or that breaks the glass is a match', async (t) => {
  for (const purpose of ['BTG', 'ETREAT'] as const) {
    t.strictSame(matchesOfPerson(load('p-1', { purpose }), known()), [
      { rule: 'break-the-glass', patientId: 'p-1', window: '2026-11-28' }
    ])
  }
  t.strictSame(matchesOfPerson(load('p-1', { purpose: 'TREAT' }), known()), [])
  t.strictSame(matchesOfPerson(refused('p-1', { purpose: 'BTG' }), known()), [])
})

test('more records of an actor in an hour than its limit are matches', async (t) => {
  const actor = activity()
  const at = (hour: number, i: number) => load(undefined, after(hour * 60 * MINUTE_MS + i))
  for (let i = 0; i < 10; i++) t.strictSame(matchesOfActor(at(0, i), actor, 10), [])
  t.strictSame(matchesOfActor(at(0, 10), actor, 10), [
    { rule: 'unusual-volume', ofActor: true, window: '2026-11-28T12' }
  ])
  t.strictSame(matchesOfActor(at(1, 0), actor, 10), [])
})

test('questions of auditors and records without an actor are not reviewed', async (t) => {
  t.ok(isReviewed(load()))
  t.ok(isReviewed(load('', { resource: { type: 'test', operation: 'list' } })))
  t.notOk(isReviewed(load('', { resource: { type: 'audit-record', operation: 'search' } })))
  t.notOk(isReviewed(load('', { actor: undefined })))
})
