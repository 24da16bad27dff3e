import { execFile, spawn } from 'node:child_process'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { MongoClient } from 'mongodb'
import t from 'tap'
import { startSystem } from './system.ts'

// As .taprc has it, for a run without it: tap's own 30 s are short on a busy machine
t.setTimeout(600_000)

const REGISTER = fileURLToPath(import.meta.resolve('../cli/register.ts'))
const run = promisify(execFile)

const system = await startSystem()
t.teardown(() => system.stop())

const { connection, database } = system.run.audit
const env = {
  ...process.env,
  LOCAL_DIR: system.localDir,
  MONGODB_URI: process.env.MONGODB_URI && connection,
  DATABASE_PREFIX: database.replace(/audit$/, '')
}
const audit = async (...args: string[]) => (await run(process.execPath, [REGISTER, ...args], { env })).stdout
const rows = (table: string) => table.split('\n').filter((line) => /^\d\d:/.test(line))

async function call (method: string, path: string, body?: object) {
  const response = await fetch(system.baseUrl + path, {
    method,
    headers: { 'ocp-apim-subscription-key': system.subscriptionKey },
    body: body && JSON.stringify(body)
  })
  const text = await response.text()
  return text === '' ? {} : JSON.parse(text)
}

const patient = { firstName: 'Ada', gender: 'female', dateOfBirth: '1915', postCode: 'W1S4' }
const { id } = await call('POST', '/patient', patient)
const { id: other } = await call('POST', '/patient', patient)
await call('GET', `/patient/${id}`)
await call('GET', `/patient/${other}`)
await call('POST', '/patient/search', { firstName: 'Ada', postCode: 'W1S4' })

t.test('prints who did what to which resource, oldest first, within 120 columns', async (t) => {
  const table = await audit()
  for (const line of table.split('\n')) t.ok(line.length <= 120, line)
  const [create, , load, , search] = rows(table)
  t.match(create, /^\d\d:\d\d:\d\d\.\d{3} local-client 127\.0\.0\.1 +create patient /)
  t.match(create, id)
  t.match(load, new RegExp(`load patient +${id} 1 disclosed +[0-9a-f]{12}$`))
  t.match(search, /search patient firstName, postCode +2 disclosed/)
  t.notMatch(table, 'Ada')
})

t.test('prints only what concerns a patient, in any case of its id', async (t) => {
  const lines = rows(await audit('--patient', id.toUpperCase()))
  t.equal(lines.length, 3)
  t.notMatch(lines.join(), other)
  t.equal(rows(await audit('--patient', '4f0b2d4e-0000-4000-8000-000000000000')).length, 0)
})

t.test('prints the last records only, or whole ones', async (t) => {
  t.match(rows(await audit('--last', '1')), [/search patient/])
  const { disclosed, operationId } = JSON.parse(await audit('--last', '1', '--json'))
  t.match(disclosed, [{ id: String, version: String }, { id: String, version: String }])
  t.match(operationId, /^[0-9a-f]{32}$/)
})

t.test('prints the newest records of all chains in the order of their dates, a repeat once', async (t) => {
  const client = new MongoClient(connection)
  t.teardown(() => client.close())
  const blocks = client.db(database).collection<{ _id: string }>('blocks')
  const year = new Date().getUTCFullYear() + 1
  const block = (chain: string, ...seconds: number[]) => ({
    _id: `${chain}:1`,
    _shardKey: chain,
    chain,
    firstSeq: 1,
    records: seconds.map((second, i) => ({
      id: `record-${second}`,
      seq: i + 1,
      createdDate: new Date(Date.UTC(year, 0, 1, 0, 0, second)),
      sourceSystemName: 'test',
      resource: { type: 'patient', operation: `load-${second}` },
      operationId: '0'.repeat(32)
    }))
  })
  // The first chain is older than all others, the second newer
  const [old, young] = ['00000000-0000-7000-8000-000000000000', 'ffffffff-0000-7000-8000-000000000000']
  const end = { ...block(young), _id: `${young}:4`, firstSeq: 4, end: true }
  await blocks.insertMany([block(old, 1, 3, 5, 6), block(young, 2, 3, 4), end])
  t.teardown(() => blocks.deleteMany({ chain: { $in: [old, young] } } as object))
  const operations = async (last: number) => {
    return rows(await audit('--last', String(last))).map((row) => /load-(\d)/.exec(row)?.[1])
  }
  t.strictSame(await operations(6), ['1', '2', '3', '4', '5', '6'])
  t.strictSame(await operations(2), ['5', '6'])
  t.strictSame((await operations(7)).slice(1), ['1', '2', '3', '4', '5', '6'])
})

t.test('follows the register, over a restart of the service too', async (t) => {
  const following = spawn(process.execPath, [REGISTER, '--follow', '--last', '1', '--patient', id], { env })
  t.teardown(() => following.kill())
  let table = ''
  following.stdout.setEncoding('utf8').on('data', (chunk) => { table += chunk })
  const until = async (count: number) => { while (rows(table).length < count) await sleep(20) }
  await until(1)
  await call('GET', `/patient/${id}`)
  await until(2)
  await system.restarted('audit', system.kill('audit'))
  await call('DELETE', `/patient/${id}`)
  await until(3)
  t.match(rows(table), [/search patient/, /load patient/, /delete patient/])
})

t.test('says clearly what it does not take, and what does not run', async (t) => {
  const refused = async (args: string[], settings: NodeJS.ProcessEnv = {}) => {
    const running = run(process.execPath, [REGISTER, ...args], { env: { ...env, ...settings } })
    const { code, stderr } = await running
      .then(() => { throw new Error('it ran') }, (error: { code: number, stderr: string }) => error)
    t.equal(code, 1)
    t.match(stderr, /^npm run register: .*\n$/)
    return stderr
  }
  t.match(await refused(['--nothing']), '--nothing')
  t.match(await refused(['--last', 'x']), '--last')
  const elsewhere = { LOCAL_DIR: join(system.localDir, 'nothing'), MONGODB_URI: '' }
  t.match(await refused([], elsewhere), 'no system runs here')
  t.match(await audit('--help'), '--follow')
})

t.test('checks the register against its log, and finds what was changed', async (t) => {
  const client = new MongoClient(connection)
  t.teardown(() => client.close())
  const db = client.db(database)
  const command = (name: string, ...args: string[]) => {
    const path = fileURLToPath(import.meta.resolve(`../cli/${name}.ts`))
    return run(process.execPath, [path, ...args], { env }).then(
      ({ stdout }) => ({ code: 0, output: stdout }),
      ({ code, stdout, stderr }) => ({ code, output: stdout + stderr }))
  }
  const { code, output } = await command('register-verify')
  t.equal(code, 0, output)
  t.match(output, /^checked [1-9]\d* of \d+ entries$/m)
  t.match(output, /^no finding$/m)
  t.match(await command('register-verify', '--checkpoint', '/nothing'), { code: 2, output: /cannot read/ })

  const dir = join(system.localDir, 'archive')
  const hold = await command('register-archive', '--hold', `patient ${id.toUpperCase()}`, '--holds')
  t.match(hold, { code: 0, output: `patient ${id} since ` })
  t.match(await command('register-archive', '--hold', 'patient 17'), { code: 1, output: /--hold/ })
  t.match(await command('register-archive', '--before', 'tomorrow', '--dir', dir), { code: 1, output: /--before/ })

  const blocks = db.collection<{ _id: string, records: object[] }>('blocks')
  const block = (await blocks.findOne({ 'records.resource.id': id }))!
  const records = block.records.map((record) => ({ ...record, actor: 'another' }))
  await blocks.updateOne({ _id: block._id }, { $set: { records } })
  t.match(await command('register-verify'), { code: 1, output: /^record differs: record/m })
  await blocks.replaceOne({ _id: block._id }, block)
  t.match(await command('register-verify'), { code: 0 })
})
