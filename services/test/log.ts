import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Db } from 'mongodb'
import t, { type Test } from 'tap'
import { LOG_ORIGIN } from '#common/transparency/names.ts'
import type { Block, StoredCheckpoint } from '#common/transparency/documents.ts'
import { cosignerOf, parseVerifierKey, signerOf } from '#common/transparency/notes.ts'
import { hostKey, logKey, queryKey, record } from '../audit/test/app.ts'
import { quantile } from '../bench/figures.ts'
import { Findings } from '../cli/register/verify/findings.ts'
import { registerOf, verifyRegister } from '../cli/register/verify/verify.ts'
import { mongo } from '../common/test/mongo.ts'
import { startReplica } from '../common/test/replicas.ts'
import { freePorts } from '../emulators/processes/probes.ts'
import { settingsOf } from '../witness/test/app.ts'
import { delaysOf } from '../bench/log-delays.ts'

// Three audit replicas and two witnesses under load, one of which is killed and started again every now and
// then: `npm run test:log`. It lasts LOG_SECONDS, 20 by default. The figures depend on the machine.

t.setTimeout(0)
const SECONDS = Number(process.env.LOG_SECONDS ?? 20)
const KILLS = 6
const CLIENTS = 4
/** Shorter runs do not judge the times: the records of a killed replica wait for its start, and are many. */
const JUDGED_SECONDS = 60
const SEQUENCED_MS = 2_000
const WITNESSED_MS = 15_000

const moduleOf = (path: string) => fileURLToPath(import.meta.resolve(path))
const log = signerOf(LOG_ORIGIN, Buffer.from(logKey, 'base64url'))

t.test('replicas and witnesses that are killed under load leave one log that is witnessed', async (t) => {
  const database = await mongo(t)
  const { db } = database
  const ports = await freePorts(5)
  const witnesses = await Promise.all([1, 2].map((n) => witnessProcess(t, n, ports[n - 1]!)))
  const audits = ports.slice(2).map((port) => auditProcess(t, port, {
    AUDIT_DB_CONNECTION: database.connection,
    DATABASE_NAME: db.databaseName,
    WITNESSES: witnesses.map(({ vkey, url }) => `${vkey} ${url}`).join(' ')
  }))
  const processes = [audits[0]!, witnesses[0]!, audits[1]!, audits[2]!, witnesses[1]!]
  await Promise.all(processes.map((one) => one.start()))

  const acknowledged = new Set<string>()
  const loading = new AbortController()
  const clients = audits.flatMap(({ url }) => Array.from({ length: CLIENTS }, async () => {
    while (!loading.signal.aborted) await post(url, acknowledged)
  }))
  for (let kill = 0; kill < KILLS; kill++) {
    await sleep(SECONDS * 1_000 / (KILLS + 1))
    const one = processes[kill % processes.length]!
    await one.kill()
    await one.start()
  }
  await sleep(SECONDS * 1_000 / (KILLS + 1))
  loading.abort()
  await Promise.all(clients)

  const ids = await idsIn(db)
  const keys = witnesses.map(({ vkey }) => parseVerifierKey(vkey))
  await witnessed(db, ids.length, keys.map(({ name }) => name))
  for (const one of audits) await one.stop()
  t.equal(new Set(ids).size, ids.length, 'no record is stored twice')
  t.same(acknowledged.difference(new Set(ids)), new Set(), 'every acknowledged record is stored')
  const found: string[] = []
  const options = { keys: [parseVerifierKey(log.vkey)], witnesses: keys, kept: [], graceMs: 0 }
  const findings = new Findings(({ kind, text }) => found.push(`${kind}: ${text}`))
  const { size, waiting } = await verifyRegister(registerOf(db), options, findings)
  t.same([found, size, waiting], [[], ids.length, 0], 'one log has each record once')
  await report(t, db, keys)
})

async function report (t: Test, db: Db, keys: Parameters<typeof delaysOf>[1]) {
  const { batches, sequenced, witnessed } = await delaysOf(db, keys)
  const [p50, p99] = [quantile(sequenced, 0.5), quantile(sequenced, 0.99)]
  const largest = witnessed.map((delays) => delays.reduce((a, b) => Math.max(a, b), 0))
  t.comment(`${sequenced.length} records in ${batches} batches`)
  t.comment(`sequenced: p50 ${p50} ms, p99 ${p99} ms`)
  t.comment(`witnessed: at most ${largest.join(' and ')} ms`)
  if (SECONDS < JUDGED_SECONDS) return
  t.ok(p99 <= SEQUENCED_MS, `sequenced within ${SEQUENCED_MS} ms`)
  t.ok(Math.max(...largest) <= WITNESSED_MS, `witnessed within ${WITNESSED_MS} ms`)
}

/** A service as a process that is killed and started again at the same address. */
function service (t: Test, module: string, settings: NodeJS.ProcessEnv, port: number) {
  const env = { ...settings, HOST: '127.0.0.1', PORT: String(port), DRAIN_SECONDS: '0', LOG_LEVEL: 'info' }
  let replica: Awaited<ReturnType<typeof startReplica>>
  const end = async (signal: NodeJS.Signals) => {
    replica.kill(signal)
    await replica.ended
  }
  return {
    url: `http://127.0.0.1:${port}`,
    async start () { replica = await startReplica(t, env, moduleOf(module)) },
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM')
  }
}

async function witnessProcess (t: Test, n: number, port: number) {
  const dir = await mkdtemp(join(tmpdir(), 'witness-'))
  t.teardown(() => rm(dir, { recursive: true }))
  const name = `example.org/witness-${n}`
  const seed = randomBytes(32)
  const more = { STORE_DIR: dir, WITNESS_NAME: name, WITNESS_KEY: seed.toString('base64url') }
  const process = service(t, '../witness/main.ts', settingsOf([log], more), port)
  return { vkey: cosignerOf(name, seed).vkey, ...process }
}

function auditProcess (t: Test, port: number, more: NodeJS.ProcessEnv) {
  return service(t, '../audit/main.ts', {
    ALLOWED_CALLERS: '127.0.0.1/32',
    CALLER_ADDRESS: 'peer',
    AUDIT_HOST_KEY: hostKey,
    AUDIT_QUERY_KEY: queryKey,
    AUDIT_LOG_KEY: logKey,
    ...more
  }, port)
}

/** Posts a record, which fails while the replica is away. */
async function post (url: string, acknowledged: Set<string>) {
  try {
    const response = await fetch(`${url}/audit`, {
      method: 'POST',
      headers: { 'x-functions-key': hostKey, 'content-type': 'application/json' },
      body: JSON.stringify(record())
    })
    const { id } = await response.json() as { id?: string }
    if (response.status === 201 && id) acknowledged.add(id)
  } catch {
    await sleep(50)
  }
}

async function idsIn (db: Db) {
  const ids: string[] = []
  for await (const { records } of db.collection<Block>('blocks').find()) {
    ids.push(...records.map(({ id }) => id))
  }
  return ids
}

/** Waits until each witness has cosigned a checkpoint of `size` records. */
async function witnessed (db: Db, size: number, names: string[]) {
  const isDone = (cosignatures: string[]) =>
    names.every((name) => cosignatures.some((line) => line.startsWith(`— ${name} `)))
  for (;;) {
    const newest = await db.collection<StoredCheckpoint>('checkpoints').findOne({}, { sort: { _id: -1 } })
    if (newest && newest._id >= size && isDone(newest.cosignatures)) return
    await sleep(100)
  }
}
