import { isDeepStrictEqual } from 'node:util'
import type { Db, Document } from 'mongodb'
import type { Block } from '../../audit/register.ts'
import type { StoredRecord } from '#common/audit-record.ts'
import { stateOf, type Journal } from './clients.ts'
import { ABSENT, type Known } from './knowledge.ts'

const WRITES = ['create', 'update', 'patch', 'delete', 'move', 'merge', 'restore']

/** What both databases hold. */
interface Stored {
  patients: Document[]
  tests: Document[]
  versions: Document[]
  transfers: Document[]
  claims: Document[]
  blocks: Block[]
  batches: Document[]
  records: StoredRecord[]
  recordById: Map<string, StoredRecord>
}

export async function readStored (patient: Db, audit: Db): Promise<Stored> {
  const all = (name: string) => patient.collection<Document>(name).find().toArray()
  const [patients, tests, versions, transfers, claims] =
    await Promise.all([all('patients'), all('tests'), all('versions'), all('transfers'), all('claims')])
  const blocks = await audit.collection<Block>('blocks').find().toArray()
  const batches = await audit.collection('batches').find().sort({ _id: 1 }).toArray()
  const records = blocks.flatMap((block) => block.records)
  // Of a record that is stored again, the earliest counts
  const byDate = records.toSorted((a, b) => b.createdDate.getTime() - a.createdDate.getTime())
  const recordById = new Map(byDate.map((record) => [record.id, record]))
  return { patients, tests, versions, transfers, claims, blocks, batches, records, recordById }
}

/** Every promise that does not hold, with ids. `stepped`: clocks were changed, so that dates say nothing. */
export function brokenPromises (stored: Stored, journal: Journal, stepped: boolean) {
  return [
    ...journal.findings,
    ...lostWrites(stored, journal),
    ...lostVersions(stored, journal),
    ...repeatedCreates(stored, journal),
    ...unrecordedChanges(stored, stepped),
    ...unrecordedDisclosures(stored, journal, stepped),
    ...contradictingRecords(stored),
    ...brokenSequence(stored),
    ...openAttempts(stored, journal, stepped),
    ...openTransfers(stored),
    ...unrecordedRefusals(stored, journal)
  ]
}

const isLive = ({ _deleted }: Document) => _deleted === undefined

/** The patient that is left after the merges of `id`: itself if there was none. */
function afterMerges (patients: Document[], id: string | undefined): Document | undefined {
  const patient = patients.find(({ _id }) => _id === id)
  return patient?._mergedInto ? afterMerges(patients, patient._mergedInto) : patient
}

/** (a) Every acknowledged write is there and equal. */
function lostWrites ({ patients, tests }: Stored, { known }: Journal) {
  const live = new Map([...patients, ...tests].filter(isLive).map((document) => [document._id, document]))
  return known.flatMap((each) => {
    const document = live.get(each.id)
    const state = document ? stateOf(each, document) : ABSENT
    if (!each.allowed.has(state)) {
      const allowed = [...each.allowed].join(' or ')
      return [`(a) ${each.type} ${each.id} is ${state}, but ${allowed} was acknowledged`]
    }
    const { name } = each
    const found = document && (each.type === 'patient' ? document.firstName : document.performer)
    return document && found !== name ? [`(a) ${each.type} ${each.id} has lost its name`] : []
  })
}

/** (a) Every acknowledged version of what is still there is the current one, or kept. */
function lostVersions (stored: Stored, { known }: Journal) {
  const live = new Set([...stored.patients, ...stored.tests].filter(isLive).map(({ _id }) => _id))
  const kept = new Set([...stored.patients, ...stored.tests, ...stored.versions].map(({ _audit }) => _audit))
  const lost = (each: Known) => live.has(each.id) ? each.versions.filter((version) => !kept.has(version)) : []
  return known.flatMap((each) =>
    lost(each).map((version) => `(a) version ${version} of ${each.type} ${each.id} is not kept`))
}

/** (a) A create with an Idempotency-Key has stored one document. */
function repeatedCreates ({ patients, tests }: Stored, { once }: Journal) {
  const live = [...patients, ...tests].filter(isLive)
  const byName = Map.groupBy(live, ({ firstName, performer }) => firstName ?? performer)
  return [...byName].filter(([name, { length }]) => once.has(name) && length > 1)
    .map(([name, { length }]) => `(a) ${name} was created once, and is there ${length} times`)
}

/** (b) Every stored change has its record, made before it. */
function unrecordedChanges ({ patients, tests, versions, recordById }: Stored, stepped: boolean) {
  return [...patients, ...tests, ...versions].flatMap((document) => {
    const { _id, _audit, _shardKey, id = _id, of = id, lastUpdated } = document
    const record = recordById.get(_audit)
    const what = `${document.of ? 'version' : 'document'} ${_id} (${_audit})`
    if (!record) return [`(b) ${what} has no record`]
    const { resource, createdDate } = record
    const subjects = [resource.id, resource.patientId]
    // Versions go with their patient
    const named = [...subjects, ...subjects.map((subject) => afterMerges(patients, subject)?._id)]
    const isNamed = [id, of, _shardKey].some((each) => named.includes(each))
    if (!isNamed) return [`(b) ${what} has the record of another`]
    // A hidden test result has the date of its deletion too
    const changed: Date | undefined = lastUpdated ?? document._deleted
    if (stepped || !changed || createdDate <= changed) return []
    return [`(b) ${what} is of ${changed.toISOString()}, its record of ${createdDate.toISOString()}`]
  })
}

/** (b) Every disclosure has its record, made before it. */
function unrecordedDisclosures ({ records }: Stored, { disclosed }: Journal, stepped: boolean) {
  const recordsOf = Map.groupBy(records, ({ operationId }) => operationId)
  return disclosed.flatMap(({ operation, operationId, ids, version, at }) => {
    const found = recordsOf.get(operationId)?.filter((record) => {
      return record.disclosed && isDeepStrictEqual(record.disclosed.map(({ id }) => id), ids)
    }) ?? []
    const what = `${operation} of ${ids.length} documents, trace ${operationId},`
    if (found.length === 0) return [`(b) ${what} has no record of what it disclosed`]
    if (version && !found.some((record) => record.disclosed![0]!.version === version)) {
      return [`(b) ${what} has disclosed version ${version}, its record says another one`]
    }
    if (stepped || found.some(({ createdDate }) => createdDate.getTime() <= at)) return []
    return [`(b) ${what} was answered before its record`]
  })
}

/** (c) Records with one id have the same content. */
function contradictingRecords ({ records }: Stored) {
  return [...Map.groupBy(records, ({ id }) => id)].flatMap(([id, same]) => {
    const [first, ...others] = same.map(contentOf)
    const areSame = others.every((other) => isDeepStrictEqual(other, first))
    return areSame ? [] : [`(c) record ${id} has several contents`]
  })
}

function contentOf (record: StoredRecord) {
  const { seq, createdDate, salt, ...content } = record as StoredRecord & { salt?: unknown }
  return content
}

/** (c) Chains have no gaps, and the log has each stored record once. */
function brokenSequence ({ blocks, batches }: Stored) {
  const findings: string[] = []
  const chains = new Map<string, number[]>()
  for (const { chain, firstSeq, records } of blocks) {
    const seqs = chains.get(chain) ?? []
    chains.set(chain, seqs)
    records.forEach(({ seq }, i) => {
      if (seq !== firstSeq + i) findings.push(`(c) chain ${chain} has ${seq} in the place of ${firstSeq + i}`)
      seqs.push(seq)
    })
  }
  for (const [chain, seqs] of chains) {
    seqs.sort((a, b) => a - b)
    const gap = seqs.findIndex((seq, i) => seq !== i + 1)
    if (gap >= 0) findings.push(`(c) chain ${chain} has no ${gap + 1}, or twice ${seqs[gap]}`)
  }
  return batches.length === 0 ? findings : [...findings, ...brokenLog(chains, batches)]
}

function brokenLog (chains: Map<string, number[]>, batches: Document[]) {
  const findings: string[] = []
  const next = new Map<string, number>()
  let size = 0
  for (const { _id, count, spans } of batches) {
    if (_id !== size) findings.push(`(c) batch ${_id} begins where the log has ${size} records`)
    size = _id + count
    for (const { chain, from, to } of spans as Array<{ chain: string, from: number, to: number }>) {
      // A span of an end block has no records
      if (to < from) continue
      const expected = next.get(chain) ?? 1
      if (from !== expected) findings.push(`(c) batch ${_id} has ${chain} from ${from}, expected ${expected}`)
      next.set(chain, to + 1)
    }
  }
  for (const [chain, seqs] of chains) {
    const sequenced = (next.get(chain) ?? 1) - 1
    if (sequenced === seqs.length) continue
    findings.push(`(c) ${sequenced} of ${seqs.length} records of ${chain} are in the log`)
  }
  return findings
}

/** (e) Every attempt has its outcome: a record of it, or what it has done. */
function openAttempts (stored: Stored, { known, succeeded }: Journal, stepped: boolean) {
  const { patients, tests, versions, transfers, claims, records } = stored
  const applied = new Set<string>([...patients, ...tests, ...versions].map(({ _audit }) => _audit))
  const done = new Set<string>([
    ...applied,
    ...transfers.flatMap(({ records: { from, to } }) => [from, to]),
    ...claims.map(({ audit }) => audit)
  ])
  for (const { attemptOf, outcome } of records) if (attemptOf && outcome) done.add(attemptOf)
  // The two records of a move or merge have one outcome, and need not each be that of a change
  const isTransfer = ({ resource }: Attempt) => ['move', 'merge'].includes(resource.operation)
  const transfersDone = records.filter((record) => isTransfer(record) && applied.has(record.id))
  const transferred = new Set(transfersDone.map(({ operationId }) => operationId))
  const live = new Set([...patients, ...tests].filter(isLive).map(({ _id }) => _id))
  const knownIds = new Set(known.map(({ id }) => id))
  /** Whether a test result that was created can be gone with its patient, and its versions too. */
  const mayBeGone = ({ resource, createdDate }: StoredRecord) => {
    const deleted: Date | undefined = afterMerges(patients, resource.patientId)?._deleted
    return deleted !== undefined && (stepped || createdDate <= deleted)
  }

  const open = records.filter((record) => {
    const { id, resource, operationId, attemptOf } = record
    if (!isAttempt(record) || succeeded.has(operationId)) return false
    if (done.has(id) || done.has(attemptOf!)) return false
    if (isTransfer(record) && transferred.has(operationId)) return false
    // What is gone has taken its versions with it
    if (resource.operation !== 'create') return live.has(resource.id!)
    return !knownIds.has(resource.id!) && !mayBeGone(record)
  })
  return open.map(({ id, resource: { operation, type, id: subject } }) =>
    `(e) attempt ${id} to ${operation} ${type} ${subject} has no outcome`)
}

/** (e) Every move and merge is finished or given up. */
function openTransfers ({ transfers }: Stored) {
  return transfers.filter(({ open }) => open).map(({ _id }) => `(e) the move or merge ${_id} is not finished`)
}

/** (e) Every write that was refused has a record that says so. */
function unrecordedRefusals ({ records }: Stored, { refused }: Journal) {
  const failures = records.filter(({ outcome }) => outcome === 'failure')
  const recorded = new Set(failures.map(({ operationId }) => operationId))
  return [...refused.difference(recorded)].map((trace) => `(e) the refusal in trace ${trace} has no record`)
}

type Attempt = Pick<StoredRecord, 'sourceSystemName' | 'resource' | 'outcome' | 'disclosed'>

function isAttempt ({ sourceSystemName, resource, outcome, disclosed }: Attempt) {
  return sourceSystemName === 'patient' && WRITES.includes(resource.operation) && !outcome && !disclosed
}

/** Figures that are no findings. */
export function remarks ({ records, recordById, patients, tests, versions, batches }: Stored) {
  const withOutcome = (wanted: string) =>
    new Set(records.filter(({ outcome }) => outcome === wanted).map(({ attemptOf }) => attemptOf))
  const failed = withOutcome('failure')
  const failedOnly = failed.difference(withOutcome('success'))
  const applied = [...patients, ...tests, ...versions].map(({ _audit }) => _audit)
  const reconciled = records.filter((record) => (record as { reconciled?: boolean }).reconciled).length
  return {
    patients: patients.length,
    tests: tests.length,
    versions: versions.length,
    records: records.length,
    'records stored again': records.length - recordById.size,
    'failures recorded': failed.size,
    'applied though recorded as failed': applied.filter((audit) => failedOnly.has(audit)),
    reconciled,
    batches: batches.length
  }
}
