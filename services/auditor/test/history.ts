import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { MongoClient } from 'mongodb'
import type { AuditRecord as Content } from '#common/audit-record.ts'
import { commitmentOf } from '#common/transparency/commitment.ts'
import {
  collections, type Block, type ChainDocument, type StoredCheckpoint
} from '#common/transparency/documents.ts'
import { Chain } from '../../audit/chain.ts'
import type { System } from '../../test/system.ts'

/** The patient whose timeline is looked at. */
export const PATIENT = '3f0d5a0e-4a34-4f0b-9d3f-9f6c5a3b1c11'
/** Has no change of the patient, and looked three times. */
export const STRANGER = 'nurse-4471'

const HOUR_MS = 60 * 60 * 1_000

/** By whom and how often the patient's records are opened, apart from the stranger. */
const STAFF = [
  { actor: 'ward-7', onBehalfOf: 'nurse-1138', purpose: 'TREAT' },
  { actor: 'ward-7', onBehalfOf: 'dr-0207', purpose: 'TREAT' },
  { actor: 'laboratory', onBehalfOf: 'lab-0019', purpose: 'TREAT' },
  { actor: 'pharmacy', purpose: 'TREAT' }
] as const

/** One record of the history: hours before its end, and its content. */
type Event = [hoursAgo: number, content: Partial<Content> & { resource: Content['resource'] }]

/**
 * Stores records of ninety days in the audit database of a running system, and waits until the log has them:
 * `accesses` of PATIENT, and as many of other patients.
 */
export async function storeHistory (system: System, accesses: number, end = Date.now()) {
  const { connection, database } = system.run.audit
  const client = await new MongoClient(connection).connect()
  try {
    const db = client.db(database)
    const chain = new Chain()
    const events = [...eventsOf(PATIENT, accesses), ...otherEvents(accesses)].sort(([a], [b]) => b - a)
    // A block spans a few seconds at most, so each of these records has its own
    const blocks = events.map(([hoursAgo, content]) => {
      const block = chain.blockOf([{
        id: randomUUID(),
        createdDate: new Date(end - hoursAgo * HOUR_MS),
        operationId: randomUUID().replaceAll('-', ''),
        sourceSystemName: 'patient',
        clientAddress: '192.0.2.17',
        ...content
      }])
      chain.advance(block, block.records.map(commitmentOf))
      return block
    })
    const size = await sizeOf()
    await db.collection<Block>(collections.blocks).insertMany(blocks, { ignoreUndefined: true })
    await db.collection<ChainDocument>(collections.chains).insertOne({
      _id: chain.chain, _shardKey: chain.chain, startedDate: new Date(end - 90 * 24 * HOUR_MS), ended: false
    })
    // The audit service looks for what others stored when it starts
    await system.restarted('audit', system.kill('audit'))
    while (await sizeOf() < size + blocks.length) await sleep(100)

    async function sizeOf () {
      const newest = await db.collection<StoredCheckpoint>(collections.checkpoints)
        .findOne({}, { sort: { _id: -1 } })
      return newest?._id ?? 0
    }
  } finally {
    await client.close()
  }
}

function eventsOf (id: string, accesses: number): Event[] {
  const patient = { type: 'patient', id }
  const disclosed = [{ id, version: randomUUID() }]
  const every = 89 * 24 / accesses
  const changes = STAFF.flatMap((person, i) => [70, 40, 12].map((days): Event => {
    const operation = i === 0 && days === 70 ? 'create' : 'patch'
    return [days * 24 + i, { ...person, resource: { ...patient, operation } }]
  }))
  const reads = Array.from({ length: accesses - changes.length - 5 }, (_, i): Event => [
    i * every + 0.5,
    { ...STAFF[i % STAFF.length], resource: { ...patient, operation: 'load' }, disclosed }
  ])
  const load = { ...patient, operation: 'load' }
  const stranger = [3.1, 3.2, 30].map((hours): Event =>
    [hours, { actor: 'ward-2', onBehalfOf: STRANGER, resource: load, disclosed }])
  const emergency: Event = [9, {
    actor: 'emergency',
    onBehalfOf: 'dr-3301',
    purpose: 'BTG',
    reason: 'Unconscious in the emergency room',
    resource: { ...patient, operation: 'load' },
    disclosed
  }]
  const search: Event = [5, {
    actor: 'billing',
    purpose: 'HPAYMT',
    resource: { type: 'patient', operation: 'search' },
    criteria: ['lastName'],
    disclosed: [...disclosed, { id: randomUUID(), version: randomUUID() }]
  }]
  return [...changes, ...reads, ...stranger, emergency, search]
}

function otherEvents (count: number): Event[] {
  const ids = Array.from({ length: 40 }, () => randomUUID())
  return Array.from({ length: count }, (_, i): Event => {
    const resource = { type: 'patient', id: ids[i % ids.length]!, operation: i % 9 === 0 ? 'update' : 'load' }
    const outcome = i % 31 === 0 ? { outcome: 'failure' as const } : {}
    // More by day than by night, most of them in the last day
    const hours = i % 24 + (i % 3 === 0 ? 24 * (i % 60) : 0)
    return [hours, { ...STAFF[(i + 1) % STAFF.length], resource, ...outcome }]
  })
}
