import type { Index } from '#common/database.ts'
import type { StoredRecord } from '#common/audit-record.ts'

/** The documents of the review, as they are stored in the audit database. */

export const reviewCollections = {
  review: 'review',
  counters: 'counters',
  activities: 'activities',
  contacts: 'contacts',
  findings: 'findings',
  watchedPatients: 'watchedPatients'
} as const

const { counters, findings } = reviewCollections

/** The properties by which findings are searched. */
export const FINDING_CRITERIA = ['state', 'rule', 'actor', 'patientId'] as const

export const reviewIndexes: Index[] = [
  { collection: counters, key: { actor: 1, _id: 1 } },
  { collection: findings, key: { date: 1, _id: 1 } },
  ...FINDING_CRITERIA.map((name): Index => ({ collection: findings, key: { [name]: 1, date: 1, _id: 1 } }))
]

/** How far the review has followed the log. There is one. */
export interface ReviewDocument {
  _id: string
  _shardKey: string
  /** The index of the next record of the log: the first one of a batch. */
  position: number
  /** Records before this index were stored before there was a review: they are counted, without findings. */
  findingsFrom: number
  /** The process that follows the log at present, and until when no other one does. */
  holder?: string
  heldUntil: Date
}

/** How many records of an hour name an actor. */
export interface CounterDocument {
  /** `<hour> <actor>`, with the hour as 2026-11-28T13; so their order is that of the hours. */
  _id: string
  _shardKey: string
  /** Undefined for records without one. */
  actor?: string
  /** Records of the log before this index are counted. */
  upTo: number
  total: number
  /** By type, operation and outcome of the records; see `counterKey`. */
  counts: Record<string, number>
}

/** What one person did lately, or one actor where records name no person; see `personKey`. */
export interface Activity {
  _id: string
  _shardKey: string
  /** Records of the log before this index are in it. */
  upTo: number
  /** The date of the first record. */
  since: Date
  /** The records of the last hour (UTC), those of all persons of an actor in its own activity. */
  hour?: Count
  /** Accesses of the last night: outside of the usual hours. */
  night?: Count
  /** First contacts of the last day (UTC). */
  contacts?: Count
  /** The patients whose data were disclosed or changed lately, and those that were refused. */
  patients: Occasion[]
  refused: Occasion[]
}

/** How often something happened in a window of time. */
export interface Count {
  /** Names the window. */
  start: string
  count: number
}

/** The last date of something that concerns a patient. */
export interface Occasion {
  patient: string
  date: Date
}

/** A person or actor has opened the data of a patient before. */
export interface Contact {
  /** See `contactKey`. */
  _id: string
  _shardKey: string
  /** The index of the first record of it in the log, and its date. */
  index: number
  date: Date
}

export interface WatchedPatient {
  /** The id of the patient. */
  _id: string
  _shardKey: string
  date: Date
  /** The auditor who asked for it. */
  by?: string
  onBehalfOf?: string
}

export const FINDING_STATES = ['new', 'under-review', 'closed'] as const
export type FindingState = typeof FINDING_STATES[number]

export interface StateChange {
  state: FindingState
  /** The subscription of the auditor; `rules` where more records were found after the finding was closed. */
  by: string
  onBehalfOf?: string
  date: Date
  reason?: string
  /** The id of the audit record of the change. */
  auditId?: string
}

/** Records that somebody should look at. */
export interface Finding {
  /** A UUID that follows from the rule, the names below and the window of time. */
  _id: string
  _shardKey: string
  rule: string
  /** The date of the first record. */
  date: Date
  actor: string
  onBehalfOf?: string
  patientId?: string
  /** The ids of the first 100 records. */
  records: string[]
  /** The number of records. */
  count: number
  state: FindingState
  history: StateChange[]
  /** Records of the log before this index are in it. */
  upTo: number
  /** Increases with each change. */
  version: number
}

/** A record and its index in the log. */
export interface LogEntry {
  index: number
  record: StoredRecord
}

/** Records that entered the log together, all of them. */
export interface EntryBatch {
  /** The index of the first one, and the one after the last one. */
  start: number
  end: number
  entries: LogEntry[]
}
