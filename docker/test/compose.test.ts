import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import * as compose from 'docker-compose'
import { MongoClient } from 'mongodb'
import t from 'tap'
import type { StoredRecord } from '#common/audit-record.ts'
import access from '../../services/access.json' with { type: 'json' }
import { startLoad } from './load.ts'
import { docker, names, noEngine, startSystem } from './system.ts'

const sh = promisify(execFile)

const reason = await noEngine()
if (reason) {
  process.stderr.write(`\n*** NOT TESTED: containers, since ${reason} ***\n\n`)
  t.plan(0, reason)
  process.exit()
}

t.setTimeout(600_000)
const system = await startSystem(t)
const { project, options, container } = system
/** Containers that can run JavaScript: an image of MongoDB has no Node.js. */
const withNode = names.filter((name) => !(process.env.MONGO_IMAGE && name.endsWith('-db')))

/** A script that connects to `port` of each host, and prints the results. */
const probe = (hosts: string[], port: number) => `
  const { connect } = require('node:net')
  const tried = ${JSON.stringify(hosts)}.map((host) => new Promise((resolve) => {
    const socket = connect({ host, port: ${port}, timeout: 1500 })
    const end = (result) => { socket.destroy(); resolve([host, result]) }
    socket.once('connect', () => end('reached'))
    socket.once('error', ({ code }) => end(code))
    socket.once('timeout', () => end('timeout'))
  }))
  Promise.all(tried).then((found) => console.log(JSON.stringify(Object.fromEntries(found))))`

async function reach (from: string, to: typeof names[number], port: number) {
  const hosts = [to, ...Object.values(await system.addresses(container(to)))]
  const found = await system.within(from, probe(hosts, port)) as Record<string, string>
  return Object.entries(found).filter(([, result]) => result === 'reached').map(([host]) => host)
}

/** The last records of the register, each as JSON. */
async function registerOf (last: number) {
  const { out } = await compose.run('register', `--json --last ${last}`, {
    ...options,
    commandOptions: ['--rm', '--no-deps', '-T']
  })
  return out.split('\n').filter((line) => line.startsWith('{'))
}

/** Runs register:verify in its container, with the witness's key and the checkpoints that it keeps. */
async function verify () {
  const keys = `--key ${system.logKey} --witness ${system.witnessKey}`
  const { exitCode, out } = await compose
    .run('verify', keys, { ...options, commandOptions: ['--rm', '--no-deps', '-T'] })
    .catch((error) => error as compose.IDockerComposeResult)
  return { exitCode, out }
}

/** A call through the gateway. */
async function ask (path: string, key: string, headers = {}) {
  const response = await fetch(system.baseUrl + path, {
    headers: { 'ocp-apim-subscription-key': key, ...headers }
  })
  return { status: response.status, body: await response.text() }
}

t.test('the examples of the README run', async (t) => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
  // The commands of the register are others in containers
  const [examples] = /^# Create a patient[^]*?(?=^```)/m.exec(readme)!
  const env = {
    ...process.env,
    BASE: system.baseUrl,
    KEY: system.subscriptionKey,
    // Where the import keeps its state
    LOCAL_DIR: mkdtempSync(join(tmpdir(), 'imported-')),
    AUTH: `Ocp-Apim-Subscription-Key: ${system.subscriptionKey}`
  }
  const { stdout } = await sh('bash', ['-euc', examples], { env })
  const statuses = [...stdout.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
  t.strictSame(statuses, [200, 200, 200, 201, 200, 200, 201, 204, 204])
})

t.test('the monitor shows an operation across gateway, patient, audit and databases', async (t) => {
  const trace = randomBytes(16).toString('hex')
  await fetch(`${system.baseUrl}/patient/unknown`, {
    headers: {
      'ocp-apim-subscription-key': system.subscriptionKey,
      traceparent: `00-${trace}-${'b'.repeat(16)}-01`
    }
  })
  const expected = ['gateway', 'patient', 'audit', 'insert blocks', 'client']
  const missing = async () => {
    const page = await (await fetch(`${system.monitorUrl}/operations/${trace}`)).text()
    return expected.filter((text) => !page.includes(text))
  }
  for (const until = Date.now() + 60_000; Date.now() < until && (await missing()).length > 0;) {
    await sleep(500)
  }
  t.strictSame(await missing(), [])
})

t.test('from outside only the gateway\'s port answers, on loopback', async (t) => {
  const portsOf = async (name: typeof names[number]) => [name, await docker('port', container(name))]
  const published = await Promise.all(names.map(portsOf))
  t.strictSame(published.filter(([, ports]) => ports), [
    ['gateway', `8080/tcp -> ${system.baseUrl.slice('http://'.length)}`]
  ])
})

t.test('each container reaches only those it may reach, by name and by address', async (t) => {
  const allowed: Record<string, string[]> = {
    gateway: ['auditor', 'patient-ingress', 'audit-ingress', 'vault'],
    auditor: ['gateway', 'vault'],
    'patient-ingress': ['gateway', 'patient'],
    patient: ['patient-ingress', 'audit-ingress', 'vault', 'patient-db'],
    'audit-ingress': ['gateway', 'patient', 'audit'],
    audit: ['audit-ingress', 'vault', 'audit-db', 'witness'],
    // Audit refuses its calls, as those of every caller but its ingress
    witness: ['audit', 'vault'],
    vault: ['gateway', 'auditor', 'patient', 'audit', 'witness'],
    'patient-db': ['patient'],
    'audit-db': ['audit']
  }
  const port = (name: string) => name === 'vault' ? 8443 : name.endsWith('-db') ? 27017 : 8080
  for (const from of withNode) {
    for (const to of names.filter((name) => name !== from)) {
      const reached = await reach(container(from), to, port(to))
      t.equal(reached.length > 0, allowed[from]!.includes(to), `${from} to ${to}: ${reached}`)
    }
  }
})

t.test('only the gateway can connect to the outside', async (t) => {
  const script = `
    const { lookup } = require('node:dns')
    const routes = require('node:fs').readFileSync('/proc/net/route', 'utf8')
    const isDefault = routes.split('\\n').some((line) => line.split('\\t')[1] === '00000000')
    const socket = require('node:net').connect({ host: '192.0.2.1', port: 443, timeout: 2000 })
    socket.once('connect', () => report('reached'))
    socket.once('error', ({ code }) => report(code))
    socket.once('timeout', () => report('timeout'))
    const report = (outside) => lookup('outside.example', (error) => {
      console.log(JSON.stringify({ isDefault, outside, name: error?.code }))
      process.exit()
    })`
  for (const name of withNode.filter((name) => name !== 'gateway')) {
    const { isDefault, outside, name: resolved } = await system.within(container(name), script)
    t.notOk(isDefault, name)
    t.equal(outside, 'ENETUNREACH')
    t.match(resolved, /^E/)
  }
})

t.test('a caller from another network is refused, whatever key and header it sends', async (t) => {
  const key = (await system.secrets()).get('patient-host-key')
  const headers = { 'x-functions-key': key, 'x-forwarded-for': `${options.env.NETWORK_PREFIX}.2` }
  const call = (address: string) => `
    fetch('http://${address}:8080/keys', { headers: ${JSON.stringify(headers)} }).then(async (response) => {
      console.log(JSON.stringify({ status: response.status, body: await response.json() }))
    })`
  const node = ['--entrypoint', '/nodejs/bin/node', `${project}-gateway`, '-e']
  // Directly, and through the ingress
  for (const name of ['patient', 'patient-ingress'] as const) {
    await docker('network', 'connect', `${project}_edge`, container(name))
    const { edge } = await system.addresses(container(name))
    const refused = JSON.parse(await docker(
      'run', '--rm', '--network', `${project}_edge`, ...node, call(edge!)
    ))
    t.equal(refused.status, 403, name)
    t.equal(refused.body.code, 'CALLER_REFUSED')
    await docker('network', 'disconnect', `${project}_edge`, container(name))
  }

  // The gateway's own address is on the list, so the same call succeeds from there
  const { patient } = await system.addresses(container('patient-ingress'))
  t.equal((await system.within(container('gateway'), call(patient!))).status, 200)
})

t.test('an auditor asks the register and gets a proof, which the witness cosigned within 15 s', async (t) => {
  const { subscriptionKey, auditorKey } = system
  const created = await fetch(`${system.baseUrl}/patient`, {
    method: 'POST',
    headers: { 'ocp-apim-subscription-key': subscriptionKey },
    body: JSON.stringify({ firstName: 'Ada', gender: 'female', dateOfBirth: '1915', postCode: 'W1S4' })
  })
  const { id } = await created.json() as { id: string }
  const log = await ask(`/patient/${id}/access-log`, auditorKey)
  t.equal(log.status, 200, log.body)
  const record = (JSON.parse(log.body) as StoredRecord[]).find(({ resource }) => resource.id === id)!
  t.match(record, { actor: 'local-client', resource: { operation: 'create', id } })

  const began = Date.now()
  const witness = `\n— ${system.witnessKey.split('+')[0]} `
  const proof = () => ask(`/audit/${record.id}/proof`, auditorKey)
  while (!(await proof()).body.includes(witness) && Date.now() - began < 60_000) await sleep(250)
  t.match((await proof()).body, witness)
  t.ok(Date.now() - began < 15_000, `${Date.now() - began} ms`)

  const to = new Date(Date.now() + 60_000).toISOString()
  const from = new Date(began - 60_000).toISOString()
  const one = [`/audit/${record.id}`, `/patient/${id}/access-log`]
  for (const path of [`/audit?from=${from}&to=${to}`, ...one, '/log/checkpoint']) {
    t.equal((await ask(path, auditorKey)).status, 200, path)
    t.equal((await ask(path, subscriptionKey)).status, 401, path)
  }
  t.equal((await ask(`/patient/${id}`, auditorKey)).status, 401)
})

t.test('the gateway serves the auditor\'s page, which asks it with an auditor\'s key', async (t) => {
  const base = `${system.baseUrl}/auditor`
  t.match(await (await fetch(base)).text(), 'Sign in to the audit register')
  const person = { onBehalfOf: 'reviewer-17', purpose: 'HCOMPL' }
  const typed = { key: system.auditorKey, next: '/auditor/integrity', ...person }
  const signedIn = await fetch(`${base}/sign-in`, {
    method: 'POST',
    redirect: 'manual',
    headers: { 'sec-fetch-site': 'same-origin' },
    body: new URLSearchParams(typed)
  })
  t.equal(signedIn.status, 303)
  const cookie = signedIn.headers.getSetCookie()[0]!.split(';')[0]!
  const page = await (await fetch(`${base}/integrity`, { headers: { cookie } })).text()
  t.match(page, 'Newest checkpoint')
  for (const file of page.match(/\/auditor\/[a-z]+\.(?:css|js)\?v=[0-9a-f]+/g)!) {
    t.equal((await fetch(system.baseUrl + file)).status, 200, file)
  }
})

t.test('the witness can read one secret of the vault, its own', async (t) => {
  const secrets = [...new Set(Object.values(access).flatMap(({ read, manage }) => [...read, ...manage]))]
  const script = `
    const { readFileSync } = require('node:fs')
    const header = /IDENTITY_HEADER=(.*)/.exec(readFileSync('/run/secrets/identity.env', 'utf8'))[1]
    const { KEY_VAULT_URI: vault, IDENTITY_ENDPOINT: endpoint } = process.env
    const clientId = '${access.witness.clientId}'
    const resource = encodeURIComponent('https://vault.localhost')
    const read = async () => {
      const query = \`api-version=2019-08-01&resource=\${resource}&client_id=\${clientId}\`
      const token = await fetch(\`\${endpoint}?\${query}\`, { headers: { 'x-identity-header': header } })
      const authorization = \`Bearer \${(await token.json()).access_token}\`
      const statuses = await Promise.all(${JSON.stringify(secrets)}.map(async (name) => {
        const url = \`\${vault}/secrets/\${name}/?api-version=2026-04-01\`
        return [name, (await fetch(url, { headers: { authorization } })).status]
      }))
      console.log(JSON.stringify(Object.fromEntries(statuses)))
    }
    read()`
  const statuses = await system.within(container('witness'), script)
  const expected = secrets.map((name) => [name, name === 'witness-key' ? 200 : 403])
  t.strictSame(statuses, Object.fromEntries(expected))
})

t.test('telemetry is sent to a monitor only if it is started', async (t) => {
  const own = 'InstrumentationKey=1;IngestionEndpoint=https://elsewhere.example/'
  const connectionStrings = async (COMPOSE_PROFILES: string, APPLICATIONINSIGHTS_CONNECTION_STRING = '') => {
    const env = { ...options.env, COMPOSE_PROFILES, APPLICATIONINSIGHTS_CONNECTION_STRING }
    const { data: { config } } = await compose.config({ ...options, env }) as unknown as {
      data: { config: { services: Record<string, { environment?: Record<string, string> }> } }
    }
    return ['gateway', 'auditor', 'patient', 'audit', 'witness']
      .map((name) => config.services[name]!.environment!.APPLICATIONINSIGHTS_CONNECTION_STRING)
  }
  for (const profiles of ['', 'load', 'tools']) {
    t.strictSame(await connectionStrings(profiles), ['', '', '', '', ''], profiles)
  }
  for (const sent of await connectionStrings('observe')) t.match(sent, /ingestion\.monitor\.localhost/)
  for (const profiles of ['', 'load', 'observe']) {
    t.strictSame(await connectionStrings(profiles, own), [own, own, own, own, own])
  }
})

t.test('each container is isolated and limited', async (t) => {
  for (const name of names) {
    const [{ HostConfig, Config }] = JSON.parse(await docker('inspect', container(name)))
    t.match(
      HostConfig,
      { ReadonlyRootfs: true, CapDrop: ['ALL'], SecurityOpt: ['no-new-privileges:true'], Privileged: false },
      name
    )
    t.ok(HostConfig.Memory > 0 && HostConfig.NanoCpus > 0 && HostConfig.PidsLimit > 0)
    t.match(Config.User, /^(65532|999):/)
    t.notOk(Config.Env.some((variable: string) => /KEY=|PASSWORD=|mongodb:\/\/[^@]*@/.test(variable)), name)
    t.equal(await system.health(container(name)), 'healthy')
  }
})

t.test('keys and passwords rotate in the containers too', async (t) => {
  const before = await system.secrets()
  const { out } = await compose.run('rotation', '--all', {
    ...options,
    commandOptions: ['--rm', '--no-deps'],
    env: { ...options.env, KEY_GRACE_SECONDS: '10' }
  })
  t.match(out, /patient-db-connection: [0-9a-f]{32} added/)
  const after = await system.secrets()
  t.not(after.get('audit-db-connection'), before.get('audit-db-connection'))
  const load = startLoad(system)
  await sleep(8_000)
  const { statuses, missing } = await load.stop()
  t.strictSame(Object.keys(statuses).sort(), ['GET 200', 'POST 200', 'POST 201'])
  t.strictSame(missing, [])
})

for (const name of names) {
  t.test(`killing ${name} under load loses no patient whose creation was confirmed`, async (t) => {
    const load = startLoad(system)
    while (load.count() < 20) await sleep(50)
    // The engine restarts a container that crashes, but not one that it has killed
    if (name === 'audit') {
      await sh('kill', ['-9', await docker('inspect', '-f', '{{.State.Pid}}', container(name))])
    } else {
      await docker('kill', '-s', 'KILL', container(name))
    }
    await sleep(1_500)
    if (name !== 'audit') await docker('start', container(name))
    const ms = await system.healthy()
    if (!t.ok(ms < 10_000, `healthy after ${ms} ms`)) {
      t.comment(await docker('inspect', '-f', '{{json .State}}', container(name)))
      t.comment(await docker('logs', '--tail', '50', container(name)))
    }
    const before = load.count()
    while (load.count() < before + 50) await sleep(50)
    const { statuses, created, missing } = await load.stop()
    t.comment(name, ms, statuses)
    const contract = name === 'gateway'
      ? /^(POST|GET) (200|201|503 with Retry-After|UND_ERR_SOCKET|ECONNREFUSED|ECONNRESET)$/
      : /^(POST|GET) (200|201|503 with Retry-After)$/
    t.strictSame(Object.keys(statuses).filter((status) => !contract.test(status)), [])
    t.ok(created.length > 50)
    t.strictSame(missing, [])
  })
}

t.test('all replicas handle requests, and stopping one loses neither requests nor records', async (t) => {
  await compose.upAll({
    ...options,
    commandOptions: ['--wait', '--no-recreate', '--scale', 'patient=3', '--scale', 'audit=2']
  })
  const requests = async (name: 'patient' | 'audit', replica: number) => {
    const logs = await docker('logs', container(name, replica))
    return logs.split('\n').filter((line) => line.includes('"msg":"request"')).length
  }
  const replicas = [['patient', 1], ['patient', 2], ['patient', 3], ['audit', 1], ['audit', 2]] as const
  const handled = () => Promise.all(replicas.map(([name, i]) => requests(name, i)))
  const began = new Date().toISOString()
  const warnings = async () => {
    const ingresses = [['gateway', 1], ['patient-ingress', 1], ['audit-ingress', 1]] as const
    const logs = await Promise.all([...ingresses, ...replicas].map(async ([name, i]) => {
      const lines = (await docker('logs', '--since', began, container(name, i))).split('\n')
      return lines.filter((line) => /"level":"(warn|error|fatal)"/.test(line)).map((line) => `${name} ${i} ${line}`)
    }))
    return logs.flat()
  }
  const total = (counts: number[]) => counts.reduce((sum, count) => sum + count)

  /** Ends a load of which no request may have been refused. */
  const end = async (load: ReturnType<typeof startLoad>) => {
    const { statuses, created, missing } = await load.stop()
    const answers = JSON.stringify(statuses)
    if (!t.strictSame(Object.keys(statuses).sort(), ['GET 200', 'POST 200', 'POST 201'], answers)) {
      for (const line of await warnings()) t.comment(line)
    }
    t.strictSame(missing, [])
    return created
  }

  // Few clients until the ingresses know the new ones, and these, slow at first, have compiled their code
  const few = startLoad(system, 2)
  while (Math.min(...await handled()) < 50) await sleep(50)
  const createdFirst = await end(few)

  const load = startLoad(system)
  const before = await handled()
  let counts: number[]
  do {
    await sleep(500)
    counts = (await handled()).map((count, i) => count - before[i]!)
  } while (total(counts) < 300)
  t.comment('requests', Object.fromEntries(replicas.map((replica, i) => [replica.join('-'), counts[i]!])))
  for (const [first, last] of [[0, 3], [3, 5]] as const) {
    const group = counts.slice(first, last)
    t.ok(Math.min(...group) > Math.max(...group) / 3, String(group))
  }

  await docker('stop', container('patient', 2))
  await docker('stop', container('audit', 2))
  await sleep(2_000)
  const createdThen = await end(load)
  t.ok(createdThen.length > 50)

  const created = [...createdFirst, ...createdThen]
  const lines = await registerOf(created.length * 10)
  const records = lines.map((line): StoredRecord => JSON.parse(line))
  t.equal(new Set(records.map(({ id }) => id)).size, records.length, 'no record is stored twice')
  const creations = records.filter(({ resource, outcome }) => resource.operation === 'create' && !outcome)
  const createdIds = new Set(creations.map(({ resource }) => resource.id))
  t.strictSame(created.filter(({ id }) => !createdIds.has(id)), [], 'each patient has its record')
})

t.test('after all kills the log has every record once, and the register is unchanged', async (t) => {
  // Replicas that were stopped have ended their chains; a killed one's are swept within a minute
  const { exitCode, out } = await verify()
  t.comment(out)
  t.equal(exitCode, 0, out)
  t.match(out, /^no finding$/m)
  t.match(out, /^checked ([1-9][\d,]*) of \1 entries$/m)
  t.notMatch(out, /not checked|nothing is witnessed/)

  // A changed record is found in the containers too
  const { 'audit-db': address } = await system.addresses(container('audit-db'))
  const connection = (await system.secrets()).get('audit-db-connection')!
  const client = await MongoClient.connect(connection.replace('audit-db:', `${address}:`))
  t.teardown(() => client.close())
  const blocks = client.db().collection<{ _id: string, records: StoredRecord[] }>('blocks')
  const { _id, records } = (await blocks.findOne({ 'records.actor': 'local-client' }))!
  const changed = records.map((record) => ({ ...record, actor: 'another' }))
  await blocks.updateOne({ _id }, { $set: { records: changed } })
  const found = await verify()
  t.equal(found.exitCode, 1)
  t.match(found.out, new RegExp(`^record differs: .*id ${records[0]!.id}`, 'm'))
})

t.test('down -v leaves nothing', async (t) => {
  await compose.down({ ...options, commandOptions: ['--volumes', '--timeout', '0', '--remove-orphans'] })
  const label = `label=com.docker.compose.project=${project}`
  for (const args of [['ps', '-aq'], ['volume', 'ls', '-q'], ['network', 'ls', '-q']]) {
    t.equal(await docker(...args, '--filter', label), '', args.join(' '))
  }
})
