import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { dropDatabases, isAlive, makeLocalDir, removeLocalDir, startSystem, StartFailure, type Name, type Options, type System } from './system.ts'

const sh = promisify(execFile)
const embedded = !process.env.MONGODB_URI
const names: Name[] = embedded ? ['gateway', 'patient', 'audit', 'database'] : ['gateway', 'patient', 'audit']

function localDir (t: Test) {
  const dir = makeLocalDir()
  t.teardown(() => removeLocalDir(dir))
  return dir
}

async function start (t: Test, options?: Options) {
  const system = await startSystem(options)
  t.teardown(async () => { await system.stop() })
  return system
}

async function failure (t: Test, options: Options) {
  try {
    await start(t, options)
  } catch (error) {
    if (error instanceof StartFailure) return error
  }
  throw new Error('it started')
}

/** One line that says what is wrong, and exit 1. */
function isClear (t: Test, { code, stderr, stdout }: StartFailure, message: RegExp | string) {
  t.equal(code, 1)
  t.match(stderr, message)
  t.match(stderr, /^npm start: .*\n$/)
  t.notMatch(stdout, 'curl')
}

const pids = ({ run }: System) => [run.pid, ...names.map((name) => run[name]!.pid!)]

async function gone (pids: number[]) {
  while (pids.some(isAlive)) await sleep(20)
}

async function isEnded (t: Test, system: System, signal: NodeJS.Signals) {
  const all = pids(system)
  const { code, ms } = await system.stop(signal)
  t.equal(code, 0)
  t.ok(ms < 5000, `${ms} ms`)
  t.notOk(all.some(isAlive))
  t.notMatch(system.logs(), 'starting it again')
}

async function createPatient ({ baseUrl, subscriptionKey }: System) {
  const response = await fetch(`${baseUrl}/patient`, {
    method: 'POST',
    headers: { 'ocp-apim-subscription-key': subscriptionKey },
    body: JSON.stringify({ firstName: 'Ada', gender: 'female', dateOfBirth: '1815', postCode: 'W1S4' })
  })
  return { status: response.status, id: (await response.json() as { id: string }).id }
}

async function loadPatient ({ baseUrl, subscriptionKey }: System, id: string) {
  const response = await fetch(`${baseUrl}/patient/${id}`, { headers: { 'ocp-apim-subscription-key': subscriptionKey } })
  return { status: response.status, body: await response.json() as object }
}

// Each has systems of its own, and waits most of the time
t.jobs = 3

t.test('a system that runs', async (t) => {
  const system = await start(t)

  t.test('the curl lines work when pasted', async (t) => {
    const [create, search] = system.curlLines
    const created = await sh('sh', ['-c', create!])
    t.match(created.stdout, /^HTTP\/1.1 201 /)
    const found = await sh('sh', ['-c', search!])
    t.match(found.stdout, /^HTTP\/1.1 200 /)
    const { id } = JSON.parse(created.stdout.split('\r\n\r\n')[1]!)
    t.match(found.stdout, id)
  })

  t.test('what it keeps is its owner\'s alone', async (t) => {
    t.equal(statSync(system.localDir).mode & 0o777, 0o700)
    for (const entry of readdirSync(system.localDir, { withFileTypes: true, recursive: true })) {
      const { mode } = statSync(join(entry.parentPath, entry.name))
      t.equal(mode & 0o077, 0, entry.name)
    }
  })

  t.test('no key is in a log line or a process argument, and each process has its own settings only', async (t) => {
    const keys = [system.keys['patient-host-key'], system.keys['audit-host-key'], system.keys['patient-data-key'], system.readerKey]
    for (const key of keys) t.notMatch(system.logs(), key)
    t.equal(system.logs().split(system.subscriptionKey).length - 1, 3)
    const { gateway, patient, audit, database } = system.run
    for (const { pid } of [gateway, patient, audit]) {
      for (const key of [...keys, system.subscriptionKey]) t.notMatch(readFileSync(`/proc/${pid}/cmdline`, 'utf8'), key)
    }
    const environ = (pid: number | undefined) => readFileSync(`/proc/${pid}/environ`, 'utf8')
    t.notMatch(environ(gateway.pid), system.keys['audit-host-key'])
    t.notMatch(environ(gateway.pid), 'DB_CONNECTION')
    t.notMatch(environ(audit.pid), 'PATIENT')
    t.notMatch(environ(patient.pid), 'AUDIT_DB_CONNECTION')
    if (database) t.notMatch(environ(database.pid), 'KEY')
  })

  t.test('a second one on the same directory is refused', async (t) => {
    isClear(t, await failure(t, { localDir: system.localDir }), `another system is running from ${system.localDir}`)
    t.equal((await createPatient(system)).status, 201)
  })

  for (const name of names) {
    t.test(`a ${name} that dies is named and started again on the same port`, async (t) => {
      const { url } = system.run[name]!
      const { id } = await createPatient(system)
      await system.restarted(name, system.kill(name))
      t.match(system.logs(), `${name} ended (SIGKILL); starting it again\n`)
      t.equal(system.run[name]!.url, url)
      t.equal((await loadPatient(system, id)).status, 200)
    })
  }

  t.test('one that dies again and again is started again too', async (t) => {
    for (let i = 0; i < 3; i++) await system.restarted('gateway', system.kill('gateway'))
    t.equal((await createPatient(system)).status, 201)
  })

  t.test('a server of one\'s own takes the place of the embedded one', async (t) => {
    const connection = system.run.database?.url ?? process.env.MONGODB_URI!
    const DATABASE_PREFIX = `own-${process.pid}-`
    const other = await start(t, { env: { MONGODB_URI: connection, DATABASE_PREFIX } })
    if (!embedded) t.teardown(() => dropDatabases(DATABASE_PREFIX))
    t.notHas(other.run, 'database')
    t.match(other.run, { patient: { connection, database: `${DATABASE_PREFIX}patient` }, audit: { connection, database: `${DATABASE_PREFIX}audit` } })
    const { status, id } = await createPatient(other)
    t.equal(status, 201)
    t.equal((await loadPatient(other, id)).status, 200)
    t.equal((await loadPatient(system, id)).status, 404)
  })
})

t.test('a system that ends and starts again', async (t) => {
  const dir = localDir(t)
  const SUBSCRIPTION_KEY = "it's_$HOME"
  const first = await start(t, { localDir: dir })
  const { id } = await createPatient(first)
  const patient = await loadPatient(first, id)

  t.test('SIGTERM ends all within 5 s, with exit code 0', async (t) => {
    await isEnded(t, first, 'SIGTERM')
    t.notOk(readdirSync(dir).includes('run.json'))
  })

  t.test('keys and patients outlive a restart, and nothing outlives start.ts when it is killed', async (t) => {
    const second = await start(t, { localDir: dir })
    t.strictSame(second.keys, first.keys)
    t.strictSame(await loadPatient(second, id), patient)
    const all = pids(second)
    second.process.kill('SIGKILL')
    await gone(all)
  })

  t.test('it starts after it was killed, the key of the client product can be given, and Ctrl-C ends all', async (t) => {
    const third = await start(t, { localDir: dir, env: { SUBSCRIPTION_KEY } })
    t.equal(third.subscriptionKey, SUBSCRIPTION_KEY)
    t.strictSame(await loadPatient(third, id), patient)
    t.match((await sh('sh', ['-c', third.curlLines[1]!])).stdout, /^HTTP\/1.1 200 /)
    // A terminal sends it to all of them
    for (const name of names) third.kill(name, 'SIGINT')
    await isEnded(t, third, 'SIGINT')
  })

  t.test('a corrupted data file is named, and nothing is left running', { skip: !embedded }, async (t) => {
    for (const file of readdirSync(join(dir, 'database'))) {
      if (/-(wal|shm)$/.test(file)) rmSync(join(dir, 'database', file))
      else writeFileSync(join(dir, 'database', file), 'this is no database, and long enough to be read as the header of one')
    }
    isClear(t, await failure(t, { localDir: dir }), /^npm start: database did not start: ./)
  })
})

t.test('SIGTERM ends even what does not answer', async (t) => {
  const system = await start(t)
  for (const name of names) system.kill(name, 'SIGSTOP')
  await isEnded(t, system, 'SIGTERM')
})

t.test('a signal while it starts ends it as well', async (t) => {
  const dir = localDir(t)
  const starting = startSystem({ localDir: dir, env: { MONGODB_URI: undefined } })
  while (!readdirSync(dir).includes('run.json')) await sleep(5)
  const run = JSON.parse(readFileSync(join(dir, 'run.json'), 'utf8'))
  process.kill(run.pid, 'SIGTERM')
  const { code, stderr } = await starting.then(() => { throw new Error('it started') }, (error: StartFailure) => error)
  t.equal(code, 0)
  t.equal(stderr, '')
  t.notOk(isAlive(run.database.pid))
})

t.test('a port in use is named', async (t) => {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  isClear(t, await failure(t, { env: { PORT: String(port) } }), `port ${port} is in use`)
})

t.test('a server that cannot be reached is named within 5 s, without its password', async (t) => {
  const began = Date.now()
  const result = await failure(t, { env: { MONGODB_URI: 'mongodb://user:secret@127.0.0.1:1/?authSource=admin' } })
  t.ok(Date.now() - began < 8000)
  isClear(t, result, 'MONGODB_URI: no MongoDB server answers at 127.0.0.1:1')
  t.notMatch(result.stderr, 'secret')
})

t.test('settings that are wrong are named together', async (t) => {
  isClear(t, await failure(t, { env: { PORT: 'x', AUDIT_DB_CONNECTION: 'secret', LOG_LEVEL: 'loud' } }), /PORT .*LOG_LEVEL .*AUDIT_DB_CONNECTION /)
})

t.test('damaged keys are named', async (t) => {
  for (const damaged of ['{', '{}', '{"patient-host-key":"x"}']) {
    const dir = localDir(t)
    writeFileSync(join(dir, 'keys.json'), damaged)
    isClear(t, await failure(t, { localDir: dir }), /keys\.json is damaged/)
  }
})
