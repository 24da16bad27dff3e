import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'tap'
import type { StoredRecord } from '../../common/audit-record.ts'
import { hasFailPoints } from '../../common/test/mongo.ts'
import { queryFields } from '../queries/fields.ts'
import { blockFilters } from '../queries/query.ts'
import { registerIndexes, type Block } from '../register.ts'
import { audit, queryKey } from './app.ts'

const START = Date.parse('2026-03-01T00:00:00Z')
const range = 'from=2026-03-01T00:00:00Z&to=2026-03-02T00:00:00Z'

type Service = Awaited<ReturnType<typeof audit>>

const BLOCK = 20
/** Makes 300 blocks more than sockets and streams hold. */
const REASON = 'x'.repeat(1_000)

/** Stores `count` blocks of 20 records each, one after the other. */
async function storeBlocks ({ db }: Service, count: number, more: Partial<StoredRecord> = {}) {
  const chain = randomUUID()
  const blocks = Array.from({ length: count }, (_, i): Block => {
    const records = Array.from({ length: BLOCK }, (_, j): StoredRecord => ({
      id: randomUUID(),
      seq: i * BLOCK + j + 1,
      createdDate: new Date(START + i * BLOCK + j),
      operationId: '0af7651916cd43dd8448eb211c80319c',
      sourceSystemName: 'patient',
      resource: { type: 'patient', id: `patient-${j}`, operation: 'load' },
      actor: 'ward-7',
      ...more
    }))
    const firstSeq = i * BLOCK + 1
    const [from, to] = [records[0]!.createdDate, records.at(-1)!.createdDate]
    return { _id: `${chain}:${firstSeq}`, _shardKey: chain, chain, firstSeq, from, to, records }
  })
  await db.collection<Block>('blocks').insertMany(blocks)
  return blocks.flatMap(({ records }) => records)
}

/** A response on a socket, of which nothing is read yet. */
async function open ({ app }: Service, url: string, accept: string): Promise<IncomingMessage> {
  if (!app.server.listening) await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const headers = { 'x-functions-key': queryKey, accept }
  const request = httpRequest({ host: '127.0.0.1', port, path: url, headers, agent: false }).end()
  const [response] = await once(request, 'response')
  return response
}

async function textOf (response: IncomingMessage) {
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += chunk
  return text
}

test('NDJSON has every record of a question, in order', async (t) => {
  const service = await audit(t)
  const records = await storeBlocks(service, 60)
  const response = await open(service, `/audit?${range}&sort=createdDate`, 'application/x-ndjson')
  t.match(response.headers['content-type'], 'application/x-ndjson')
  const lines = (await textOf(response)).trimEnd().split('\n')
  t.same(lines.map((line) => JSON.parse(line).id), records.map(({ id }) => id))
  t.same(JSON.parse(lines[0]!), JSON.parse(JSON.stringify(records[0])))
})

test('CSV quotes what a spreadsheet would take for a formula', async (t) => {
  const service = await audit(t)
  const values = ['=1+1', '+1', '-1', '@x', '\tx', 'a,b', 'say "a"', 'plain']
  for (const actor of values) await storeBlocks(service, 1, { actor })
  const { headers, body } = await service.get(`/audit?${range}`, { accept: 'text/csv' })
  t.match(headers['content-type'], 'text/csv')
  const [names, ...rows] = body.trimEnd().split('\r\n')
  t.match(names, /^id,createdDate,operationId,sourceSystemName,actor,/)
  t.equal(rows.length, values.length * BLOCK)
  const cells = ['"\'=1+1"', '"\'+1"', '"\'-1"', '"\'@x"', '"\'\tx"', '"a,b"', '"say ""a"""', 'plain']
  for (const cell of cells) {
    t.equal(rows.filter((row) => row.includes(`,patient,${cell},,`)).length, BLOCK, cell)
  }
})

test('no more is read from the database than a client takes', async (t) => {
  const service = await audit(t)
  await storeBlocks(service, 300, { reason: REASON })
  let finds = 0
  const db = service.app.database
  const { collection } = db
  // The log reads too, but by find
  db.collection = (name) => {
    const found = collection.call(db, name)
    const aggregate = found.aggregate.bind(found) as unknown as (...args: object[]) => never
    return Object.assign(found, {
      aggregate (...args: object[]) {
        finds++
        return aggregate(...args)
      }
    }) as never
  }
  const response = await open(service, `/audit?${range}`, 'application/x-ndjson')
  const settled = async () => {
    for (let before = -1; before !== finds;) {
      before = finds
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    return finds
  }
  t.ok(await settled() > 0)
  // All 300 blocks take 11 reads of up to 32
  response.destroy()
  const closed = await settled()
  t.ok(closed < 11, 'not everything was read')
})

test('only the wanted records of a block leave the database, and no cursor stays open', async (t) => {
  const service = await audit(t)
  await storeBlocks(service, 300, { reason: REASON })
  const { collection } = service.app.database
  let received = 0
  service.app.database.collection = (name) => {
    const found = collection.call(service.app.database, name)
    const aggregate = found.aggregate.bind(found) as (...args: object[]) => { toArray (): Promise<Block[]> }
    return Object.assign(found, {
      aggregate: (...args: object[]) => ({
        async toArray () {
          const blocks = await aggregate(...args).toArray()
          received += blocks.reduce((sum, { records }) => sum + records.length, 0)
          return blocks
        }
      })
    }) as never
  }
  const openCursors = async () => {
    const { metrics } = await service.db.admin().command({ serverStatus: 1 })
    return Number(metrics.cursor.open.total)
  }
  const before = await openCursors()
  for (const sort of ['createdDate', '-createdDate']) {
    received = 0
    const url = `/audit?${range}&id=patient-7&actor=ward-7&sort=${sort}`
    const lines = (await service.get(url, { accept: 'application/x-ndjson' })).body.trimEnd().split('\n')
    t.equal(lines.length, 300)
    t.equal(received, 300, 'one of twenty')
  }
  const response = await open(service, `/audit?${range}`, 'application/x-ndjson')
  await once(response, 'readable')
  t.equal(await openCursors(), before, 'while a client waits')
  response.destroy()
  t.equal(await openCursors(), before, 'after it went away')
})

const embeddedOnly = hasFailPoints ? {} : { skip: 'needs fail points' }

test('a failure in the middle ends the connection', embeddedOnly, async (t) => {
  const service = await audit(t)
  await storeBlocks(service, 300, { reason: REASON })
  const response = await open(service, `/audit?${range}`, 'application/x-ndjson')
  t.equal(response.statusCode, 200)
  await service.failCommand('alwaysOn', { failCommands: ['aggregate'], errorCode: 2 })
  await t.rejects(textOf(response), { code: 'ECONNRESET' })
  await service.failCommand('off', {})
})

test('a failure at the beginning is an error as everywhere', embeddedOnly, async (t) => {
  const service = await audit(t)
  await service.failCommand('alwaysOn', { failCommands: ['aggregate'], errorCode: 2 })
  t.equal((await service.get(`/audit?${range}`, { accept: 'text/csv' })).statusCode, 500)
  await service.failCommand('off', {})
})

test('the client chooses the format', async (t) => {
  const service = await audit(t)
  await storeBlocks(service, 1)
  const cases = [
    ['*/*', 'application/json'], ['text/*', 'text/csv'],
    ['text/csv;q=0.5, application/json;q=0.4', 'text/csv'],
    ['application/fhir+json', 'application/fhir+json'], ['text/html, */*;q=0.1', 'application/json']
  ]
  for (const [accept, type] of cases) {
    const { headers } = await service.get(`/audit?${range}`, { accept: accept! })
    t.match(headers['content-type'], type, String(accept))
  }
  const refused = await service.get(`/audit?${range}`, { accept: 'text/html' })
  t.match(refused.json(), { status: 406, code: 'NOT_ACCEPTABLE' })
  const excess = await service.get(`/audit?${range}&limit=5`, { accept: 'text/csv' })
  t.match(excess.json(), { status: 400, errors: [{ pointer: '#/limit' }] })
})

test('every question is answered by an index', async (t) => {
  const service = await audit(t)
  await storeBlocks(service, 20, {
    onBehalfOf: 'a', purpose: 'TREAT', clientAddress: '192.0.2.1', outcome: 'success'
  })
  const blocks = service.db.collection<Block>('blocks')
  // The service creates them one by one after its start
  let indexes = await blocks.indexes()
  while (indexes.length <= registerIndexes.length) indexes = await blocks.indexes()
  for (const field of queryFields) t.ok(indexes.some(({ key }) => `records.${field}` in key), field)
  const dates = { from: START, to: START + 60_000 }
  const queries = [
    dates, { ...dates, actor: 'a' }, { ...dates, onBehalfOf: 'a' }, { ...dates, purpose: 'BTG' },
    { ...dates, clientAddress: '192.0.2.2' }, { ...dates, outcome: 'failure' }, { ...dates, type: 'test' },
    { ...dates, operation: 'merge' }, { operationId: 'x' }, { id: 'a-patient' }
  ]
  for (const query of queries) {
    for (const direction of [1, -1] as const) {
      const edge = direction === 1 ? 'from' : 'to'
      for (const filter of blockFilters(query, direction)) {
        const explained = await blocks.find(filter).sort({ [edge]: direction }).limit(8).explain()
        const stages = JSON.stringify(explained.queryPlanner.winningPlan)
        t.match(stages, /IXSCAN/, JSON.stringify(query))
        t.notMatch(stages, /COLLSCAN/)
        // Newest first, as it is asked by default, nothing is sorted in memory
        if (direction === -1) t.notMatch(stages, /SORT/, JSON.stringify(query))
      }
    }
  }
  const found = await blocks.find({ 'records.id': 'x' }).explain()
  t.match(JSON.stringify(found.queryPlanner.winningPlan), /IXSCAN/)
})
