import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { hasFailPoints } from '../../common/test/mongo.ts'
import { ada, patient } from './app.ts'

const embeddedOnly = hasFailPoints ? {} : { skip: 'needs fail points' }
const fail = { failCommands: ['update'], errorCode: 13 }

/** A patient as the version before stored it. */
const old = (index: number, lastName?: string) => ({
  _id: `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`,
  _shardKey: `00000000-0000-4000-8000-${String(index).padStart(12, '0')}`,
  _audit: `0198c1f2-7a3b-7000-8000-${String(index).padStart(12, '0')}`,
  _lastName: lastName ?? '',
  ...ada,
  ...(lastName === undefined ? {} : { lastName }),
  dateOfBirth: '1815-12-10',
  lastUpdated: new Date()
})

const LEASE = { _id: 'search-keys', _shardKey: 'search-keys', owner: { run: 'of another replica' } }

const olds = (count: number) => Array.from({ length: count }, (_, index) => old(index, `Néme${index}`))

async function until (condition: () => Promise<boolean>) {
  while (!await condition()) await sleep(20)
}

test('patients of the version before are found at once, and get search keys in the background', async (t) => {
  const documents = olds(70)
  const { call, db, records, stored } = await patient(t, async (db) => {
    await db.collection('patients').insertMany(documents as never[])
    const expires = new Date(Date.now() + 3_600_000)
    await db.collection('claims').insertOne({ ...LEASE, expires } as never)
  })
  const found = async (criteria: object) => (await call('POST', '/patient/search', criteria)).json()
  t.equal((await found({ lastName: 'Néme7' })).length, 1)
  t.equal((await found({ lastName: 'Néme7', firstName: ada.firstName, match: 'exact' })).length, 1)
  const { body } = await call('GET', `/patient/${documents[7]!._id}`)
  t.match(body, '1815-12-10')
  t.same((await found({ lastName: 'neme7' })), [], 'another replica has the lease')

  await db.collection('claims').deleteOne({ _id: LEASE._id as never })
  await until(async () => (await found({ lastNamePrefix: 'neme' })).length === 70)
  t.equal((await found({ lastName: 'neme7' })).length, 1)
  const { patients } = await stored()
  for (const [index, { _id, _audit, _keys, _lastName, lastUpdated }] of patients.entries()) {
    t.match({ _id, _audit, lastUpdated }, {
      _id: documents[index]!._id, _audit: documents[index]!._audit, lastUpdated: documents[index]!.lastUpdated
    })
    t.match(_keys, { lastName: `neme${index}` })
    t.equal(_lastName, undefined)
  }
  const maintenance = (await records()).filter(({ resource }) => resource.operation === 'maintenance')
  t.equal(maintenance.length, 1)
})

test('an interrupted migration goes on, and keeps what clients changed', embeddedOnly, async (t) => {
  const documents = olds(60)
  const { call, failCommand, logs, restart } = await patient(t, async (db) => {
    const client = db.client.db('admin')
    await client.command({ configureFailPoint: 'failCommand', mode: { skip: 20 }, data: fail })
    await db.collection('patients').insertMany(documents as never[])
  })
  await until(async () => logs().includes('cannot migrate search keys'))
  await failCommand('off', fail)
  await call('PATCH', `/patient/${documents[59]!._id}`, { lastName: 'Changed' })
  await restart()
  const count = async (criteria: object) => (await call('POST', '/patient/search', criteria)).json().length
  await until(async () => await count({ lastNamePrefix: 'neme' }) === 59)
  t.equal(await count({ lastName: 'CHANGED' }), 1)
})
