import { BSON, MongoClient, type Document } from 'mongodb'
import type { Block, SaltedRecord } from '#common/transparency/documents.ts'
import type { System } from '../system.ts'

export type { Block }
export type AuditRecord = SaltedRecord

interface FailPoint extends Document {
  failCommands: string[]
  /** The only collection whose commands fail: of others, replicas may be written at any time. */
  collection?: string
}

/**
 * What a test can see and do beside the API: both databases, at `uri` if that is another way to them, and the
 * fail points of their server.
 */
export async function openStores ({ patient, audit }: System['run'], uri?: string) {
  const clients = [
    new MongoClient(uri ?? patient.connection),
    new MongoClient(uri ?? audit.connection)
  ] as const
  const patientDb = clients[0].db(patient.database)
  const auditDb = clients[1].db(audit.database)
  const blocks = auditDb.collection<Block>('blocks')

  const stores = {
    patientDb,
    auditDb,
    blocks: (filter: Document = {}) => blocks.find(filter).sort({ chain: 1, firstSeq: 1 }).toArray(),

    async records (filter: Document = {}, which: (record: AuditRecord) => boolean = () => true) {
      return (await stores.blocks(filter)).flatMap(({ records }) => records).filter(which)
    },

    /** Every document of every collection of the patient database, as text. Replicas beat at any time. */
    async dump () {
      const found = (await patientDb.listCollections().toArray()).map(({ name }) => name).sort()
      const names = found.filter((name) => name !== 'replicas')
      const collections = await Promise.all(names.map(async (name) => {
        return [name, await patientDb.collection(name).find().sort({ _id: 1 }).toArray()]
      }))
      return BSON.EJSON.stringify(Object.fromEntries(collections), { relaxed: false })
    },

    /** Makes commands of one service fail. */
    async failCommands (
      service: 'patient' | 'audit', { collection, ...data }: FailPoint, mode: object | string = 'alwaysOn'
    ) {
      const { database } = service === 'patient' ? patient : audit
      const where = { appName: database, ...collection && { namespace: `${database}.${collection}` } }
      const command = { configureFailPoint: 'failCommand', mode, data: { ...where, ...data } }
      await clients[0].db('admin').command(command)
    },

    async failNoMore () {
      await clients[0].db('admin').command({ configureFailPoint: 'failCommand', mode: 'off' })
    },

    async hasFailPoints () {
      return await stores.failNoMore().then(() => true, () => false)
    },

    /** Whether the server answers. */
    async isThere () {
      return await patientDb.command({ ping: 1 }).then(() => true, () => false)
    },

    close: () => Promise.all(clients.map((client) => client.close()))
  }
  return stores
}
