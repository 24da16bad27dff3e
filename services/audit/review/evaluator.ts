import type { StoredRecord } from '#common/audit-record.ts'
import type { Database } from '#common/database.ts'
import { derivedUuid } from '#common/derived-uuid.ts'
import { patientsOf } from '../queries/patients.ts'
import { Activities, personKey } from './activities.ts'
import { Contacts, contactKey } from './contacts.ts'
import { HOUR_MS, hourOf, type Counters } from './counters.ts'
import type { Activity, EntryBatch, LogEntry } from './documents.ts'
import { Findings, type FindingPart } from './findings.ts'
import { inParallel } from '#common/in-parallel.ts'
import { isOpening, isReviewed, matchesOfActor, matchesOfPerson, thresholds, type Match } from './rules.ts'
import type { UsualHours } from './usual-hours.ts'
import { WatchedPatients } from './watched-patients.ts'

/** Limits that are known without a look into the database. */
const REMEMBERED_LIMITS = 1_000

/** What is known at the start of a batch. */
interface Context {
  activities: Map<string, Activity>
  /** Contacts that nobody had before. Those that the batch makes are removed. */
  firstContacts: Set<string>
  watched: Set<string>
  volumeLimits: Map<string, number>
}

/** Applies the rules to batches of the log, in its order. */
export class Evaluator {
  readonly findings: Findings
  readonly watchedPatients: WatchedPatients
  #activities: Activities
  #contacts: Contacts
  #counters: Counters
  #usualHours: UsualHours
  #limits = new Map<string, number>()

  constructor (database: Database, counters: Counters, usualHours: UsualHours) {
    this.findings = new Findings(database)
    this.watchedPatients = new WatchedPatients(database)
    this.#activities = new Activities(database)
    this.#contacts = new Contacts(database)
    this.#counters = counters
    this.#usualHours = usualHours
  }

  /**
   * Stores the findings of a batch, then what the rules have to remember of it. May be called again, after
   * which the same is stored.
   *
   * @param findingsFrom earlier records of the log are remembered, but lead to no findings
   */
  async evaluate (batch: EntryBatch, findingsFrom: number) {
    const entries = batch.entries.filter(({ record }) => isReviewed(record))
    if (entries.length === 0) return
    const context = await this.#contextOf(batch, entries)
    const contacts: NewContacts = new Map()
    const parts = new Map<string, FindingPart>()
    for (const entry of entries) {
      for (const match of this.#matchesOf(entry, batch, context, contacts)) {
        if (entry.index >= findingsFrom) addTo(parts, entry, match)
      }
    }
    await inParallel(parts.values(), (part) => this.findings.add(batch, part))
    await this.#contacts.add(contacts)
    const activities = [...context.activities.values()].filter(({ upTo }) => upTo <= batch.start)
    await this.#activities.store(batch, activities)
  }

  /** An activity that has the batch already was stored after the findings that it led to. */
  #matchesOf ({ index, record }: LogEntry, { start }: EntryBatch, context: Context, contacts: NewContacts) {
    const key = personKey(record.actor!, record.onBehalfOf)
    const person = context.activities.get(key)!
    const actor = context.activities.get(personKey(record.actor!))!
    const limit = context.volumeLimits.get(volumeKey(record)) ?? Infinity
    const matches = actor.upTo > start ? [] : matchesOfActor(record, actor, limit)
    if (person.upTo <= start) {
      matches.push(...matchesOfPerson(record, {
        person,
        actor,
        isWatched: (patient) => context.watched.has(patient),
        isFirstContact: (patient) => context.firstContacts.has(contactKey(key, patient)),
        usualHours: this.#usualHours
      }))
    }
    for (const contact of contactsOf(record)) {
      if (context.firstContacts.delete(contact)) contacts.set(contact, { index, date: record.createdDate })
    }
    return matches
  }

  async #contextOf ({ start }: EntryBatch, entries: LogEntry[]): Promise<Context> {
    const since = new Map<string, Date>()
    for (const { record: { actor, onBehalfOf, createdDate } } of entries) {
      for (const key of [personKey(actor!), personKey(actor!, onBehalfOf)]) {
        if (!since.has(key)) since.set(key, createdDate)
      }
    }
    const entriesByHour = Map.groupBy(entries, ({ record }) => volumeKey(record))
    const stored = await this.#activities.find([...since.keys()])
    const activities = new Map([...since].map(([_id, date]) => {
      return [_id, stored.get(_id) ?? newActivity(_id, date)]
    }))
    const volumeLimits = new Map<string, number>()
    for (const [key, ofHour] of entriesByHour) {
      const [{ record }] = ofHour as [LogEntry]
      const { hour } = activities.get(personKey(record.actor!))!
      const earlier = hour?.start === hourOf(record.createdDate) ? hour.count : 0
      if (earlier + ofHour.length <= thresholds['unusual-volume'].records) continue
      volumeLimits.set(key, await this.#volumeLimit(record))
    }
    const opened = new Set(entries.flatMap(({ record }) => contactsOf(record)))
    return {
      activities,
      firstContacts: await this.#contacts.unknownBefore(start, opened),
      watched: new Set((await this.watchedPatients.list()).map(({ _id }) => _id)),
      volumeLimits
    }
  }

  /** How many records of an actor are too many in the hour of `record`. */
  async #volumeLimit (record: StoredRecord) {
    const key = volumeKey(record)
    const remembered = this.#limits.get(key)
    if (remembered !== undefined) return remembered
    const { times, days, records, activeHours, recordsOfNewActor } = thresholds['unusual-volume']
    const hour = new Date(Math.floor(record.createdDate.getTime() / HOUR_MS) * HOUR_MS)
    const from = new Date(hour.getTime() - days * 24 * HOUR_MS)
    const totals: number[] = []
    for await (const { total } of this.#counters.between(from, hour, record.actor)) totals.push(total)
    const mean = totals.reduce((sum, total) => sum + total, 0) / totals.length
    const limit = totals.length < activeHours ? recordsOfNewActor : Math.max(records, times * mean)
    this.#limits.set(key, limit)
    if (this.#limits.size > REMEMBERED_LIMITS) this.#limits.delete(this.#limits.keys().next().value!)
    return limit
  }
}

type NewContacts = Map<string, { index: number, date: Date }>

const volumeKey = ({ actor, createdDate }: StoredRecord) => `${hourOf(createdDate)} ${actor}`

function contactsOf (record: StoredRecord) {
  if (!isOpening(record)) return []
  const key = personKey(record.actor!, record.onBehalfOf)
  return patientsOf(record).map((patient) => contactKey(key, patient))
}

function newActivity (_id: string, since: Date): Activity {
  return { _id, _shardKey: _id, upTo: 0, since, patients: [], refused: [] }
}

function addTo (parts: Map<string, FindingPart>, { record }: LogEntry, match: Match) {
  const { rule, ofActor, patientId, window } = match
  const { id, actor, createdDate } = record
  const onBehalfOf = ofActor ? undefined : record.onBehalfOf
  const key = JSON.stringify([rule, actor, onBehalfOf ?? null, patientId ?? null, window])
  const _id = derivedUuid(`finding ${key}`)
  const part = parts.get(_id)
  if (!part) {
    const names = { rule, actor: actor!, onBehalfOf, patientId }
    parts.set(_id, { _id, ...names, date: createdDate, records: [id], count: 1 })
  } else {
    part.records.push(id)
    part.count++
  }
}
