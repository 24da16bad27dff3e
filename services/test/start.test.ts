import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import {
  chmodSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync
} from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { LOG_ORIGIN, WITNESS_NAME } from '#common/transparency/names.ts'
import { cosignerOf, signerOf, type Signer } from '#common/transparency/notes.ts'
import { readRun } from '../cli/system/state.ts'
import { testLog } from '../witness/test/log.ts'
import {
  ORPHAN, START, dropDatabases, isAlive, makeLocalDir, prefixOf, removeLocalDir, startSystem, StartFailure,
  type Name, type Options, type System
} from './system.ts'

// As .taprc has it, for a run without it: tap's own 30 s are short on a busy machine
t.setTimeout(600_000)

const sh = promisify(execFile)
const VERIFY = fileURLToPath(import.meta.resolve('../cli/register-verify.ts'))
const embedded = !process.env.MONGODB_URI
const names: Name[] =
  ['gateway', 'patient', 'audit', 'witness', 'vault', ...(embedded ? ['database'] as const : [])]

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

/** What must be seen nowhere but in the vault. */
function keysAndPasswords ({ secrets }: System) {
  return [...secrets()].flatMap(([name, value]) => {
    if (name === 'gateway-subscription-keys') return []
    if (!name.endsWith('connection')) return value
    const password = /^mongodb:\/\/[^:@/]*:([^@]*)@/.exec(value)?.[1]
    return password === undefined ? [] : password
  })
}

/** The log of a process, as far as it is written. */
function logFile (dir: string, name: string) {
  const file = join(dir, 'logs', `${name}.log`)
  return existsSync(file) ? readFileSync(file, 'utf8') : ''
}

const pids = ({ run }: System) => [run.pid, ...names.map((name) => run[name]!.pid!)]

async function gone (pids: number[]) {
  while (pids.some(isAlive)) await sleep(20)
}

async function isEnded (t: Test, system: System, signal: NodeJS.Signals) {
  const all = pids(system)
  const { code, ms } = await system.stop(signal)
  t.equal(code, 0)
  // 4 s until the last is killed, and as much again for a busy machine
  t.ok(ms < 10_000, `${ms} ms`)
  t.notOk(all.some(isAlive))
  t.notMatch(system.logs(), 'starting it again')
}

/** `npm start` on `dir`, without waiting for it. */
function spawnStart (t: Test, dir: string, ...args: string[]) {
  const env = {
    ...process.env, LOCAL_DIR: dir, PORT: '0', MONITOR: 'off', AUDITOR_PAGE: 'off', NODE_OPTIONS: ''
  }
  const started = spawn(process.execPath, ['--import', ORPHAN, START, ...args], {
    env: { ...env, DATABASE_PREFIX: prefixOf(dir) }, stdio: ['ignore', 'pipe', 'inherit', 'ipc']
  })
  t.teardown(() => started.kill('SIGKILL'))
  return started
}

/** Asks again as long as the answer is 503, as a client of a busy machine has to. */
async function ask (url: string, init: RequestInit) {
  for (;;) {
    const response = await fetch(url, init)
    if (response.status !== 503) return response
    await response.arrayBuffer()
    await sleep(1_000 * Number(response.headers.get('retry-after')))
  }
}

/** What a curl line of the terminal prints, pasted again like `ask`. */
async function paste (line: string) {
  for (;;) {
    const { stdout } = await sh('sh', ['-c', line])
    const [, seconds] = /^HTTP\/1.1 503 [^]*^retry-after: (\d+)/mi.exec(stdout) ?? []
    if (seconds === undefined) return stdout
    await sleep(1_000 * Number(seconds))
  }
}

async function createPatient ({ baseUrl, subscriptionKey }: System) {
  const response = await ask(`${baseUrl}/patient`, {
    method: 'POST',
    headers: { 'ocp-apim-subscription-key': subscriptionKey },
    body: JSON.stringify({ firstName: 'Ada', gender: 'female', dateOfBirth: '1915', postCode: 'W1S4' })
  })
  return { status: response.status, id: (await response.json() as { id: string }).id }
}

async function loadPatient ({ baseUrl, subscriptionKey }: System, id: string) {
  const headers = { 'ocp-apim-subscription-key': subscriptionKey }
  const response = await ask(`${baseUrl}/patient/${id}`, { headers })
  return { status: response.status, body: await response.json() as object }
}

// Each has systems of its own, and waits most of the time
t.jobs = 3

t.test('a system that runs', async (t) => {
  const system = await start(t, { env: { MONITOR: 'on' } })

  t.test('the curl lines work when pasted', async (t) => {
    const [create, search] = system.curlLines
    const created = await paste(create!)
    t.match(created, /^HTTP\/1.1 201 /)
    const found = await paste(search!)
    t.match(found, /^HTTP\/1.1 200 /)
    const { id } = JSON.parse(created.split('\r\n\r\n')[1]!)
    t.match(found, id)
  })

  t.test('the monitor shows an operation through all of it, with its audit record', async (t) => {
    const trace = randomBytes(16).toString('hex')
    const { status } = await fetch(`${system.baseUrl}/patient/unknown`, {
      headers: {
        'ocp-apim-subscription-key': system.subscriptionKey,
        traceparent: `00-${trace}-${'b'.repeat(16)}-01`
      }
    })
    t.equal(status, 404)
    const shown = async () => (await fetch(`${system.run.monitor!.url}/operations/${trace}`)).text()
    const expected = [
      'gateway', 'patient', 'audit', '/patient/:patientId', '/audit', 'insert blocks', 'local-client'
    ]
    let page = await shown()
    const until = Date.now() + 30_000
    while (Date.now() < until && !expected.every((text) => page.includes(text))) {
      await sleep(200)
      page = await shown()
    }
    for (const text of expected) t.ok(page.includes(text), text)
  })

  t.test('the witness has its key from the vault, and trusts the log', async (t) => {
    const secrets = system.secrets()
    const seed = (name: string) => Buffer.from(secrets.get(name)!, 'base64url')
    const { url } = system.run.witness
    const keys = await (await fetch(`${url}/keys`)).text()
    t.equal(keys, `${cosignerOf(WITNESS_NAME, seed('witness-key')).vkey}\n`)
    const submit = async (signer: Signer) => {
      const body = await testLog({ origin: LOG_ORIGIN, signer }).submission(0, 0)
      return (await fetch(`${url}/add-checkpoint`, { method: 'POST', body })).status
    }
    // 409 if the log of the register was faster
    t.ok([200, 409].includes(await submit(signerOf(LOG_ORIGIN, seed('audit-log-key')))))
    t.equal(await submit(signerOf(LOG_ORIGIN, randomBytes(32))), 403)
  })

  t.test('what it keeps is its owner\'s alone', async (t) => {
    t.equal(statSync(system.localDir).mode & 0o777, 0o700)
    for (const entry of readdirSync(system.localDir, { withFileTypes: true, recursive: true })) {
      const { mode } = statSync(join(entry.parentPath, entry.name))
      t.equal(mode & 0o077, 0, entry.name)
    }
  })

  t.test('no key and no password is in a log line, an argument or a variable of a process', async (t) => {
    const { stdout } = await sh('ps', ['-o', 'pid=', '--ppid', String(system.run.pid)])
    const all = [system.run.pid, ...stdout.trim().split(/\s+/).map(Number)]
    for (const name of [...names, 'monitor'] as const) t.ok(all.includes(system.run[name]!.pid!))
    const [shown, ...keys] = [system.subscriptionKey, system.readerKey, ...keysAndPasswords(system)]
    t.ok(keys.length >= 4)
    t.equal(system.logs().split(shown!).length - 1, 3, 'but for the subscription key in the lines to paste')
    const files = names.map((name) => logFile(system.localDir, name)).join('')
    t.notOk(files.includes(shown!))
    for (const key of keys) t.notOk(system.logs().includes(key) || files.includes(key))
    for (const pid of all) {
      for (const file of ['cmdline', 'environ']) {
        const content = readFileSync(`/proc/${pid}/${file}`, 'utf8')
        t.ok(content.length > 0)
        for (const key of [shown!, ...keys]) t.notOk(content.includes(key), `${file} of ${pid}`)
      }
    }
  })

  t.test('a second one on the same directory is refused', async (t) => {
    const second = await failure(t, { localDir: system.localDir })
    isClear(t, second, `another system is running from ${system.localDir}`)
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

  t.test('a server and a key that a user gives are in the vault alone, and used', async (t) => {
    const { connection } = system.run.patient
    const SUBSCRIPTION_KEY = 'a-key-that-was-given-1'
    const DATABASE_PREFIX = `own-${process.pid}-`
    const other = await start(t, { env: { SUBSCRIPTION_KEY, MONGODB_URI: connection, DATABASE_PREFIX } })
    if (!embedded) t.teardown(() => dropDatabases(DATABASE_PREFIX))
    t.equal(other.keys['patient-db-connection'], connection)
    t.equal(other.subscriptionKey, SUBSCRIPTION_KEY)
    for (const { pid } of [other.run.gateway, other.run.patient, other.run.audit, other.run.vault]) {
      const environ = readFileSync(`/proc/${pid}/environ`, 'utf8')
      t.notOk(environ.includes(SUBSCRIPTION_KEY))
      t.notOk(environ.includes('mongodb://'))
    }
    t.notHas(other.run, 'database')
    t.match(other.run.patient, { connection, database: `${DATABASE_PREFIX}patient` })
    t.match(other.run.audit, { connection, database: `${DATABASE_PREFIX}audit` })
    const { status, id } = await createPatient(other)
    t.equal(status, 201)
    t.equal((await loadPatient(other, id)).status, 200)
    t.equal((await loadPatient(system, id)).status, 404)
  })

  t.test('a server that refuses the password is named', { skip: !embedded }, async (t) => {
    const refused = await failure(t, { env: { MONGODB_URI: system.run.database!.url } })
    const line = /^npm start: MONGODB_URI: 127\.0\.0\.1:\d+ refuses the user or the password\n$/
    isClear(t, refused, line)
  })
})

t.test('a system that ends and starts again', async (t) => {
  const dir = localDir(t)
  const SUBSCRIPTION_KEY = "it's_$HOME"
  const first = await start(t, { localDir: dir, quiet: true, env: { AUDITOR_PAGE: 'on', MONITOR: 'on' } })
  const { id } = await createPatient(first)
  const patient = await loadPatient(first, id)

  t.test('its last lines are those for pasting, and its logs are in files', async (t) => {
    for (const name of names) while (!logFile(dir, name)) await sleep(20)
    // The gateway has logged requests, and nothing of it was printed
    while (!logFile(dir, 'gateway').includes('/patient/:patientId')) await sleep(20)
    const printed = first.logs()
    t.match(printed, /^curl .*\/patient .*\ncurl .*\/patient\/search .*\n$/m)
    t.ok(printed.endsWith(`${first.curlLines.at(-1)}\n`))
    t.notMatch(printed, /^\{/m)
    for (const name of names) {
      const lines = logFile(dir, name).trimEnd().split('\n')
      for (const line of lines) t.equal(JSON.parse(line).name, name)
    }
  })

  t.test('it says what is starting and how long each process took', async (t) => {
    const printed = first.logs()
    t.match(printed, embedded ? /^Starting vault, database$/m : /^Starting vault$/m)
    const all = [...names, 'keys', 'auditor', 'monitor']
    for (const name of all) t.match(printed, new RegExp(`^  ${name} +\\d+\\.\\d s$`, 'm'))
    t.match(printed, /^Started in \d+\.\d s$/m)
    t.match(printed, `\nReady at ${first.baseUrl}\nPortal: ${first.baseUrl}/\n`)
    t.match(printed, `\nAuditor's page: ${first.baseUrl}/auditor\n`)
    t.match(printed, `\nMonitor: ${first.run.monitor!.url}/\n`)
    t.match(printed, `\nSubscription key of an auditor: ${first.auditorKey}\n`)
    t.match(printed, `\nAudit register: LOCAL_DIR='${dir}' npm run register -- --follow\n`)
    // A busy machine adds reminders
    t.ok(printed.split('\n').filter((line) => !line.includes('is not ready after')).length < 30)
  })

  t.test('SIGTERM ends all within 5 s, with exit code 0', async (t) => {
    await isEnded(t, first, 'SIGTERM')
    t.notOk(readdirSync(dir).includes('run.json'))
  })

  t.test('keys and patients outlive a restart, and nothing outlives a killed start.ts', async (t) => {
    const second = await start(t, { localDir: dir })
    t.strictSame(keysAndPasswords(second), keysAndPasswords(first))
    t.equal(second.subscriptionKey, first.subscriptionKey)
    t.strictSame(await loadPatient(second, id), patient)
    const all = pids(second)
    second.process.kill('SIGKILL')
    await gone(all)
  })

  t.test('it starts after it was killed, with the key that is given, and Ctrl-C ends all', async (t) => {
    const third = await start(t, { localDir: dir, env: { SUBSCRIPTION_KEY } })
    t.equal(third.subscriptionKey, SUBSCRIPTION_KEY)
    t.strictSame(await loadPatient(third, id), patient)
    t.match((await sh('sh', ['-c', third.curlLines[1]!])).stdout, /^HTTP\/1.1 200 /)
    // A terminal sends it to all of them
    for (const name of names) third.kill(name, 'SIGINT')
    await isEnded(t, third, 'SIGINT')
  })

  t.test('a corrupted data file is named, and nothing is left running', { skip: !embedded }, async (t) => {
    const damaged = 'this is no database, and long enough to be read as the header of one'
    for (const file of readdirSync(join(dir, 'database'))) {
      if (/-(wal|shm)$/.test(file)) rmSync(join(dir, 'database', file))
      else writeFileSync(join(dir, 'database', file), damaged)
    }
    isClear(t, await failure(t, { localDir: dir }), /^npm start: database did not start: ./)
  })
})

t.test('systems that start at the same time do not get in the way of each other', async (t) => {
  const systems = await Promise.all([start(t), start(t), start(t)])
  const urls = systems.flatMap(({ run }) => names.map((name) => run[name]!.url))
  t.equal(new Set(urls).size, urls.length)
  t.notMatch(systems.map((system) => system.logs()).join(), 'EADDRINUSE')
  for (const system of systems) t.equal((await createPatient(system)).status, 201)

  t.test('SIGTERM ends even what does not answer', async (t) => {
    const [system] = systems
    for (const name of names) system.kill(name, 'SIGSTOP')
    await isEnded(t, system, 'SIGTERM')
  })
})

t.test('--logs shows what the files have, and --open opens the portal', async (t) => {
  const bin = localDir(t)
  const opened = join(bin, 'opened')
  const script = `#!/bin/sh\necho "$1" > '${opened}.new' && mv '${opened}.new' '${opened}'\n`
  writeFileSync(join(bin, 'xdg-open'), script)
  chmodSync(join(bin, 'xdg-open'), 0o700)
  const system = await start(t, { args: ['--open'], env: { PATH: `${bin}:${process.env.PATH}` } })
  while (!existsSync(opened)) await sleep(20)
  t.equal(readFileSync(opened, 'utf8'), `${system.baseUrl}/\n`)
  const { id } = await createPatient(system)
  await loadPatient(system, id)
  const lines = () => logFile(system.localDir, 'gateway').split('\n').slice(0, -1)
  while (!lines().some((line) => line.includes('/patient/:patientId'))) await sleep(20)
  const written = lines()
  const shown = () => new Set(system.logs().split('\n'))
  while (!shown().has(written.at(-1)!)) await sleep(20)
  t.same(written.filter((line) => !shown().has(line)), [])
})

t.test('--sample stores invented patients once', async (t) => {
  const dir = localDir(t)
  const sample = (count: number) => {
    return start(t, { localDir: dir, args: ['--sample', String(count)], quiet: true })
  }
  const insuranceNumbers = async ({ baseUrl, subscriptionKey }: System) => {
    const headers = { 'ocp-apim-subscription-key': subscriptionKey }
    const all = { method: 'POST', headers, body: '{}' }
    const response = await fetch(`${baseUrl}/patient/search?limit=200`, all)
    const patients = await response.json() as Array<{ id: string, insuranceNumber: string }>
    const first = await fetch(`${baseUrl}/patient/${patients[0]!.id}/tests`, { headers })
    t.not((await first.json() as object[]).length, 0, 'with test results')
    return patients.map(({ insuranceNumber }) => insuranceNumber).toSorted()
  }
  const expected = (count: number) => {
    return Array.from({ length: count }, (_, i) => `INVENTED-${String(i + 1).padStart(6, '0')}`)
  }

  // Killed, and then interrupted, as soon as one more is stored, or a little later
  const created = /"POST","route":"\/patient","statusCode":201/g
  const stored = () => logFile(dir, 'gateway').match(created)?.length ?? 0
  for (const [signal, ...exit] of [['SIGKILL', null, 'SIGKILL'], ['SIGINT', 0, null]] as const) {
    const before = stored()
    const cutOff = spawnStart(t, dir, '--sample', '60')
    while (stored() <= before) await sleep(5)
    cutOff.kill(signal)
    t.same(await once(cutOff, 'exit'), exit)
  }

  const first = await sample(60)
  t.same(await insuranceNumbers(first), expected(60))
  t.match(first.stdout(), /^Storing invented patients 100 % \d+ of \d+ records/m)
  await first.stop()
  const again = await sample(60)
  t.same(await insuranceNumbers(again), expected(60))
  t.notMatch(again.stdout(), 'Storing')
  await again.stop()
  const more = await sample(65)
  t.same(await insuranceNumbers(more), expected(65))
  // It ends with 1 if a record of the register is missing or was changed
  const { localDir: LOCAL_DIR, witnessKey, run: { audit } } = more
  const DATABASE_PREFIX = audit.database.replace(/audit$/, '')
  const env: NodeJS.ProcessEnv = { ...process.env, LOCAL_DIR, DATABASE_PREFIX }
  if (process.env.MONGODB_URI) env.MONGODB_URI = audit.connection
  await sh(process.execPath, [VERIFY, '--witness', witnessKey], { env })
})

t.test('a start that is killed at any step heals itself', async (t) => {
  const dir = localDir(t)
  const steps =
    ['Starting vault', '  vault', '  keys', 'Starting .*gateway', '  witness', '  gateway', 'Started']
  for (const step of steps) {
    const killed = spawnStart(t, dir)
    let printed = ''
    for await (const chunk of killed.stdout!) {
      printed += chunk
      if (new RegExp(`^${step}`, 'm').test(printed)) break
    }
    killed.kill('SIGKILL')
    if (killed.signalCode === null) await once(killed, 'exit')
    t.equal(killed.signalCode, 'SIGKILL', step)
  }
  // Between steps too: while the vault and the users of the databases are being filled
  for (let i = 0; i < 5; i++) {
    const killed = spawnStart(t, dir)
    while (!existsSync(join(dir, 'run.json'))) await sleep(5)
    await sleep(i * 300)
    killed.kill('SIGKILL')
    if (killed.signalCode === null) await once(killed, 'exit')
  }
  const system = await start(t, { localDir: dir })
  t.equal((await createPatient(system)).status, 201)
})

t.test('the end of npm ends all', async (t) => {
  const dir = localDir(t)
  const env = { ...process.env, LOCAL_DIR: dir, PORT: '0', MONITOR: 'off', DATABASE_PREFIX: prefixOf(dir) }
  const npm = spawn('npm', ['start'], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  let printed = ''
  for await (const chunk of npm.stdout) if (/^Ready at/m.test(printed += chunk)) break
  const { pid, gateway, patient, audit, vault } = readRun(dir)
  t.teardown(() => isAlive(pid) && process.kill(pid))
  npm.kill()
  await gone([pid, gateway.pid!, patient.pid!, audit.pid!, vault.pid!])
})

t.test('options that are wrong are named', async (t) => {
  isClear(t, await failure(t, { args: ['--sample', 'many'] }), '--sample takes a number')
  isClear(t, await failure(t, { args: ['--samples', '3'] }), '--samples')
})

t.test('a signal while it starts ends it as well', async (t) => {
  const dir = localDir(t)
  const starting = startSystem({ localDir: dir, env: { MONGODB_URI: undefined } })
  while (!readdirSync(dir).includes('run.json')) await sleep(5)
  const run = readRun(dir)
  process.kill(run.pid, 'SIGTERM')
  const { code, stderr } = await starting.then(
    () => { throw new Error('it started') },
    (error: StartFailure) => error
  )
  t.equal(code, 0)
  t.equal(stderr, '')
  t.notOk(isAlive(run.vault.pid!))
})

t.test('a port in use is named', async (t) => {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  isClear(t, await failure(t, { env: { PORT: String(port) } }), `port ${port} is in use`)
})

t.test('a server that cannot be reached is named, without its password', async (t) => {
  const MONGODB_URI = 'mongodb://user:secret@127.0.0.1:1/?authSource=admin'
  const result = await failure(t, { env: { MONGODB_URI } })
  isClear(t, result, 'MONGODB_URI: no MongoDB server answers at 127.0.0.1:1')
  t.notMatch(result.stderr, 'secret')
})

t.test('settings that are wrong are named together', async (t) => {
  const result = await failure(t, { env: { PORT: 'x', AUDIT_DB_CONNECTION: 'secret', LOG_LEVEL: 'loud' } })
  isClear(t, result, /PORT .*LOG_LEVEL .*AUDIT_DB_CONNECTION /)
})

t.test('a damaged vault is named', async (t) => {
  await Promise.all(['', '{', 'x'.repeat(42)].map(async (damaged) => {
    const dir = localDir(t)
    writeFileSync(join(dir, 'unseal-key'), damaged)
    const result = await failure(t, { localDir: dir })
    isClear(t, result, /^npm start: vault did not start: .*unseal-key is damaged/)
  }))
})
