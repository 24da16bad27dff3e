import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { hasFailPoints, mongo } from '../../../common/test/mongo.ts'
import type { StatisticsRow } from '../../review/statistics.ts'
import { audit, record } from '../app.ts'

type Service = Awaited<ReturnType<typeof audit>>

const embeddedOnly = hasFailPoints ? {} : { skip: 'needs fail points' }
const range = (hours = 1) => {
  const at = (more: number) => encodeURIComponent(new Date(Date.now() + more * 3_600_000).toISOString())
  return `from=${at(-hours)}&to=${at(hours)}`
}

/** The statistics once every record that is stored now is counted. */
async function counted ({ get }: Service, query = '') {
  const stored = new Date()
  for (;;) {
    const answer = await get(`/audit/statistics?${range()}${query}`)
    const body = answer.json()
    if (answer.statusCode !== 200 || new Date(body.until) >= stored) return body
    await sleep(50)
  }
}

/** What the blocks hold, without the questions of the test itself. */
async function expected ({ blocks }: Service) {
  const rows: Record<string, number> = {}
  for (const { records } of await blocks()) {
    for (const { createdDate, actor = '', resource: { type, operation }, outcome = '' } of records) {
      if (operation === 'statistics') continue
      const start = `${createdDate.toISOString().slice(0, 13)}:00:00.000Z`
      const key = [start, actor, type, operation, outcome].join()
      rows[key] = (rows[key] ?? 0) + 1
    }
  }
  return rows
}

function toCounts (rows: StatisticsRow[]) {
  return Object.fromEntries(rows.filter(({ operation }) => operation !== 'statistics').map((row) => {
    return [[row.start, row.actor ?? '', row.type, row.operation, row.outcome ?? ''].join(), row.count]
  }))
}

test('records are counted by hour, actor, type, operation and outcome', async (t) => {
  const service = await audit(t)
  const odd = { type: 'a.$type/%', operation: 'an operation.' }
  for (const content of [
    { actor: 'ward-7' }, { actor: 'ward-7' }, { actor: 'ward-7', outcome: 'failure' },
    { actor: 'ward 8. $x' }, {}, { actor: 'ward-7', resource: odd }
  ]) await service.post(record(content))
  const body = await counted(service)
  t.strictSame(toCounts(body.rows), await expected(service))
  t.match(body.rows, body.rows.toSorted((a: StatisticsRow, b: StatisticsRow) => a.start < b.start ? -1 : 1))
  const isOdd = ({ type, operation }: StatisticsRow) => type === odd.type && operation === odd.operation
  t.ok(body.rows.some(isOdd))

  const ofWard = await counted(service, '&actor=ward-7&outcome=failure&by=day')
  const day = new Date().toISOString().slice(0, 10)
  t.match(ofWard.rows, [{ start: `${day}T00:00:00.000Z`, actor: 'ward-7', outcome: 'failure', count: 1 }])
  t.equal(ofWard.from.slice(11), '00:00:00.000Z')
  t.equal((await counted(service, '&type=patient&operation=load')).rows.length, 4)
})

test('a range is required and not too long, and who asks is recorded', async (t) => {
  const { get, blocks } = await audit(t)
  t.equal((await get('/audit/statistics')).statusCode, 400)
  t.equal((await get(`/audit/statistics?${range(24 * 40)}`)).statusCode, 400)
  t.equal((await get(`/audit/statistics?${range()}&by=minute`)).statusCode, 400)
  t.strictSame(await blocks(), [])
  t.equal((await get(`/audit/statistics?${range()}&actor=ward-7`)).statusCode, 200)
  t.match((await blocks()).flatMap(({ records }) => records), [{
    resource: { type: 'audit-record', operation: 'statistics' },
    actor: 'an-auditor',
    criteria: ['from', 'to', 'actor']
  }])
})

for (const command of ['insert', 'update']) {
  test(`every record is counted once although ${command}s fail`, embeddedOnly, async (t) => {
    const database = await mongo(t)
    for (let skipped = 0; skipped < 8; skipped++) {
      const { app, post, failCommand } = await audit(t, database)
      await failCommand({ skip: skipped }, { failCommands: [command], errorCode: 13 })
      await Promise.all(Array.from({ length: 20 }, (_, i) => post(record({ actor: `ward-${i % 3}` }))))
      await app.close()
      await failCommand('off', { failCommands: [command] })
    }
    const service = await audit(t, database)
    await service.post(record())
    t.strictSame(toCounts((await counted(service)).rows), await expected(service))
  })
}

test('replicas that follow the log at the same time count every record once', async (t) => {
  const database = await mongo(t)
  const replicas = await Promise.all([1, 2, 3].map(() => audit(t, database)))
  for (let round = 0; round < 3; round++) {
    await Promise.all(replicas.flatMap(({ post }) =>
      Array.from({ length: 30 }, (_, i) => post(record({ actor: `ward-${i % 4}` })))))
  }
  t.strictSame(toCounts((await counted(replicas[1]!)).rows), await expected(replicas[1]!))
})
