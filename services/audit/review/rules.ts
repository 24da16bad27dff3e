import type { StoredRecord } from '#common/audit-record.ts'
import { patientsOf } from '../queries/patients.ts'
import type { Activity, Count, Occasion } from './documents.ts'
import type { UsualHours } from './usual-hours.ts'

/**
 * The rules that lead to findings, and their thresholds. They see ids, codes and dates only.
 *
 * A person is an onBehalfOf of an actor. A record that names none counts for the actor as a whole: that may
 * be a system with many users, so it has thresholds of its own. Matches of a rule are grouped into one
 * finding a window of time, so that the list has one line for what is one thing to look at.
 */
export const thresholds = {
  /** More records in one hour (UTC) than `times` the mean of the actor's active hours of the last `days`. */
  'unusual-volume': {
    times: 5,
    days: 28,
    /** Never fewer than this. */
    records: 1_000,
    /** Of an actor with fewer active hours in these days: their mean says little. */
    activeHours: 24,
    recordsOfNewActor: 10_000
  },
  /** More patients than this whose data were disclosed or changed within some minutes. */
  'many-patients': { minutes: 10, patients: 50, patientsOfActor: 500 },
  /** More accesses than this in one night, so that a single emergency is none. */
  'out-of-hours': { accesses: 20, accessesOfActor: 500 },
  /**
   * More patients than this in one day (UTC) whose data were never opened by the same person before. Most
   * first contacts are new admissions. Of an actor's first days, all are.
   */
  'first-contact': { contacts: 30, contactsOfActor: 500, learningDays: 14 },
  /** An access to a patient after a refused one. */
  'refused-then-succeeded': { minutes: 30 },
  /** Each access to a watched patient, and each in an emergency (ETREAT) or that breaks the glass (BTG). */
  'watched-patient': {},
  'break-the-glass': { purposes: ['BTG', 'ETREAT'] as readonly unknown[] }
}
type RuleName = keyof typeof thresholds
export const ruleNames = Object.keys(thresholds) as RuleName[]

/** A record that a rule matches. Matches with the same rule, person, patient and window are one finding. */
export interface Match {
  rule: RuleName
  /** Whether the finding is of the actor as a whole, whoever it called for. */
  ofActor?: true
  patientId?: string
  /** The name of the window of time. */
  window: string
}

/** What the rules know besides the record. */
export interface Known {
  /** Of the person, and of the actor as a whole: the same one where the record names no person. */
  person: Activity
  actor: Activity
  isWatched (patientId: string): boolean
  /** Whether the same person has not opened the data of the patient before. */
  isFirstContact (patientId: string): boolean
  usualHours: UsualHours
}

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS
const MAX_REFUSED = 100

/** Whether data of patients were disclosed or changed. */
function isAccess ({ disclosed, outcome }: StoredRecord) {
  return outcome === 'success' || (disclosed !== undefined && disclosed.length > 0)
}

/** Whether data of one patient were opened, rather than found among others. */
export function isOpening (record: StoredRecord) {
  return isAccess(record) && record.resource.operation !== 'search'
}

/** Questions of auditors and refused host keys are nobody's work with patients. */
export function isReviewed ({ actor, resource: { type } }: StoredRecord) {
  return actor !== undefined && (type === 'patient' || type === 'test')
}

function isRefused ({ disclosed, outcome, resource }: StoredRecord) {
  return outcome === 'failure' || (resource.operation === 'load' && disclosed?.length === 0)
}

/**
 * The matches of one record, the next one in the order of the log, with the rules about persons. Adds the
 * record to the activity of the person.
 */
export function matchesOfPerson (record: StoredRecord, known: Known): Match[] {
  const patients = patientsOf(record)
  if (isRefused(record)) addRefused(record, patients, known)
  if (!isAccess(record)) return []
  return [
    ...refusedThenSucceeded(record, patients, known),
    ...manyPatients(record, patients, known),
    ...outOfHours(record, known),
    ...watchedPatients(record, patients, known),
    ...breakTheGlass(record, patients),
    ...firstContacts(record, patients, known)
  ]
}

/**
 * The matches of one record, the next one in the order of the log, with the rule about an actor as a whole.
 * Adds the record to the activity of the actor.
 *
 * @param limit how many records of the actor are too many in this hour
 */
export function matchesOfActor ({ createdDate }: StoredRecord, actor: Activity, limit: number): Match[] {
  const hour = actor.hour = counted(actor.hour, createdDate.toISOString().slice(0, 13))
  return hour.count > limit ? [{ rule: 'unusual-volume', ofActor: true, window: hour.start }] : []
}

function manyPatients (record: StoredRecord, patients: string[], { person }: Known): Match[] {
  const { minutes, ...limits } = thresholds['many-patients']
  const limit = record.onBehalfOf === undefined ? limits.patientsOfActor : limits.patients
  const found = new Map(recent(person.patients, record.createdDate, minutes).map((one) => [one.patient, one]))
  for (const patient of patients) {
    found.delete(patient)
    found.set(patient, { patient, date: record.createdDate })
  }
  // No more than it takes to find the next one above the limit
  person.patients = [...found.values()].slice(-limit)
  const isMatch = found.size > limit
  return isMatch ? [{ rule: 'many-patients', window: record.createdDate.toISOString().slice(0, 13) }] : []
}

function outOfHours (record: StoredRecord, { person, usualHours }: Known): Match[] {
  const window = usualHours.nightOf(record.createdDate)
  if (window === undefined) return []
  const { accesses, accessesOfActor } = thresholds['out-of-hours']
  const night = person.night = counted(person.night, window)
  const limit = record.onBehalfOf === undefined ? accessesOfActor : accesses
  return night.count > limit ? [{ rule: 'out-of-hours', window }] : []
}

function firstContacts (record: StoredRecord, patients: string[], known: Known): Match[] {
  const { actor, person } = known
  // What somebody creates is theirs
  if (!isOpening(record) || record.resource.operation === 'create') return []
  const { contacts, contactsOfActor, learningDays } = thresholds['first-contact']
  const limit = record.onBehalfOf === undefined ? contactsOfActor : contacts
  const window = dayOf(record)
  const isLearning = record.createdDate.getTime() - actor.since.getTime() < learningDays * DAY_MS
  let isMatch = false
  for (const patient of patients) {
    if (!known.isFirstContact(patient)) continue
    person.contacts = counted(person.contacts, window)
    isMatch ||= person.contacts.count > limit && !isLearning
  }
  return isMatch ? [{ rule: 'first-contact', window }] : []
}

function addRefused ({ createdDate }: StoredRecord, patients: string[], { person }: Known) {
  const { minutes } = thresholds['refused-then-succeeded']
  for (const patient of patients) {
    const before = recent(person.refused, createdDate, minutes).filter((one) => one.patient !== patient)
    person.refused = [...before, { patient, date: createdDate }].slice(-MAX_REFUSED)
  }
}

function refusedThenSucceeded (record: StoredRecord, patients: string[], { person }: Known): Match[] {
  if (person.refused.length === 0) return []
  person.refused = recent(person.refused, record.createdDate, thresholds['refused-then-succeeded'].minutes)
  const succeeded = patients.filter((patient) => person.refused.some((one) => one.patient === patient))
  person.refused = person.refused.filter(({ patient }) => !succeeded.includes(patient))
  return succeeded.map((patientId) => ({
    rule: 'refused-then-succeeded', patientId, window: dayOf(record)
  }))
}

function watchedPatients (record: StoredRecord, patients: string[], { isWatched }: Known): Match[] {
  return patients.filter(isWatched).map((patientId) => ({
    rule: 'watched-patient', patientId, window: dayOf(record)
  }))
}

function breakTheGlass (record: StoredRecord, patients: string[]): Match[] {
  if (!thresholds['break-the-glass'].purposes.includes(record.purpose)) return []
  // A search may disclose many patients: that is one thing to look at
  const patientId = patients.length === 1 ? patients[0] : undefined
  return [{ rule: 'break-the-glass', patientId, window: dayOf(record) }]
}

const dayOf = ({ createdDate }: StoredRecord) => createdDate.toISOString().slice(0, 10)

function counted (count: Count | undefined, start: string): Count {
  return { start, count: count?.start === start ? count.count + 1 : 1 }
}

function recent (occasions: Occasion[], date: Date, minutes: number) {
  return occasions.filter((one) => date.getTime() - one.date.getTime() <= minutes * MINUTE_MS)
}
