import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { Pool } from 'undici'
import { startSystem } from '../../../services/test/system.ts'
import { installedK6 } from '../binary.ts'
import { breakpointOf, type Summary } from '../breakpoint.ts'

// The scripts by the real k6 on a real system

const MAIN = fileURLToPath(import.meta.resolve('../main.ts'))
/** Nothing here depends on how fast the machine is. */
const UNHURRIED = { P95_MS: '60000' }

if (!await installedK6()) {
  process.stderr.write('*** NOT TESTED: k6/, since there is no k6 of version 1 here; npm run k6:install brings it ***\n')
  t.plan(0, 'there is no k6 here')
  process.exit()
}

const system = await startSystem({ env: { KEY_REFRESH_SECONDS: '1' } })
t.teardown(() => system.stop())
const results = mkdtempSync(join(tmpdir(), 'k6-'))
t.teardown(() => rmSync(results, { recursive: true }))

/** npm run k6 on the running system; what it said, and its summary. */
async function k6 (script: string, env: NodeJS.ProcessEnv = {}) {
  const settings = { ...process.env, LOCAL_DIR: system.localDir, ARTEFACTS: results, BASE_URL: '', SUBSCRIPTION_KEY: '', USERS: '', RATE: '', ...UNHURRIED, ...env }
  const { code, stdout, stderr } = await new Promise<{ code: number, stdout: string, stderr: string }>((resolve) => {
    execFile(process.execPath, [MAIN, script, '--quiet'], { env: settings }, (error, stdout, stderr) => resolve({ code: error ? Number(error.code) : 0, stdout, stderr }))
  })
  return {
    code,
    stdout,
    stderr,
    summary: () => JSON.parse(readFileSync(join(results, `${script}.json`), 'utf8')) as Summary,
    page: () => readFileSync(join(results, `${script}.html`), 'utf8')
  }
}

/** How often each check held. */
const passes = ({ results: { checks } }: Summary) => Object.fromEntries(checks.results.map(({ name, passes }) => [name, passes]))

const mixed = [
  'echo: 200',
  'create: 201 with what was sent, an id and a time',
  'create, invalid: 400 that names the property',
  'load: 200 as it was stored',
  'load, unknown: 404',
  'update: 200 with the same details',
  'search by id: 200 with this patient alone',
  'search by {}: 200 with a page',
  'create test: 201 with what was sent and an id',
  'create test, invalid: 400 that names the property',
  'load tests: 200 with those of this patient',
  'load tests, unknown patient: 404',
  'load test: 200 as it was stored',
  'load test, unknown: 404'
]

/** Nobody is left in the database. */
async function patients () {
  const pool = new Pool(system.baseUrl)
  const { body } = await pool.request({ method: 'POST', path: '/patient/search', body: '{}', headers: { 'ocp-apim-subscription-key': system.subscriptionKey } })
  const found = await body.json() as object[]
  await pool.close()
  return found.length
}

function allHeld (t: Test, { results: { checks } }: Summary) {
  t.same(checks.results.filter(({ fails }) => fails > 0), [], 'every check held')
}

t.test('smoke comes by every operation', async (t) => {
  const { code, stderr, summary } = await k6('smoke')
  t.equal(code, 0, stderr)
  allHeld(t, summary())
  const held = passes(summary())
  for (const name of [...mixed, 'patch: 200 as it was changed', 'patch test, changed meanwhile: 412', 'delete test: 204', 'delete: 204', 'load, deleted: 404', 'next page: 200 with another one']) t.equal(held[name], 3, name)
  t.equal(await patients(), 0, 'nothing is left behind')
})

t.test('load comes by the whole mix in its shares, by users and by arrivals', async (t) => {
  const { code, stdout, stderr, summary, page } = await k6('load', { USERS: '4', RATE: '60', DURATION: '6s' })
  t.equal(code, 0, stderr)
  t.match(stdout, `${results}/load.html`)
  allHeld(t, summary())
  const held = passes(summary())
  for (const name of mixed) t.ok(held[name]! > 0, name)
  // 360 arrivals: 40 rounds, of which 4 have the other one of each operation; the first operation of a user stores
  const other = held['create, invalid: 400 that names the property']!
  t.ok(other >= 3 && other <= 5 && held['create: 201 with what was sent, an id and a time']! > 6 * other, 'one create of ten is invalid')
  for (const scenario of ['users', 'arrivals']) {
    const failed = summary().results.metrics.find(({ name }) => name === `http_req_failed{scenario:${scenario}}`)!.values
    t.match(failed, { matches: 0 })
    t.ok(failed.total! > 0, `requests of ${scenario}`)
  }
  t.equal(await patients(), 0, 'nothing is left behind')

  const text = page()
  t.match(text, /<html/)
  t.notMatch(text, /(?:src|href)\s*=\s*["']?https?:|@import|url\(\s*["']?https?:/, 'the page fetches nothing')
  for (const told of [text, JSON.stringify(summary()), stdout, stderr]) t.notOk(told.includes(system.subscriptionKey), 'nothing tells the key')
})

t.test('rotation rotates every key beside the load', async (t) => {
  const { code, stdout, stderr, summary } = await k6('rotation', { RATE: '10', DURATION: '12s' })
  t.equal(code, 0, stderr)
  allHeld(t, summary())
  t.match(stdout, /^[2-9] rotations of [36] secrets/m)
  t.ok(passes(summary())['create again with the same Idempotency-Key: 201 with the same patient']! > 0)
})

t.test('soak tells how memory grows', { skip: process.platform !== 'linux' }, async (t) => {
  const { code, stdout, stderr, summary } = await k6('soak', { USERS: '2', RATE: '10', DURATION: '6s' })
  t.equal(code, 0, stderr)
  allHeld(t, summary())
  for (const name of ['gateway', 'patient', 'audit', ...system.run.database ? ['database'] : []]) t.match(stdout, `${name}: too short a time`)
})

t.test('breakpoint ends at the rate whose answers are late, and tells it', async (t) => {
  const { code, stdout, stderr, summary } = await k6('breakpoint', { RATE: '20', STEP_SECONDS: '3', P95_MS: '1' })
  t.equal(code, 0, stderr)
  t.match(stdout, /^passed the bound: 20 operations a second with a 95th percentile of \d+ ms$/m)
  t.match(stderr, 'stopping test prematurely')
  t.equal(breakpointOf(summary(), true).passed?.rate, 20)
})

t.test('a wrong key ends the run at once, and says so', async (t) => {
  const { code, stderr } = await k6('load', { BASE_URL: system.baseUrl, SUBSCRIPTION_KEY: 'a-wrong-one', USERS: '2', DURATION: '60s' })
  t.not(code, 0)
  t.match(stderr, 'the gateway refuses SUBSCRIPTION_KEY (401)')
  t.notMatch(stderr, 'a-wrong-one')
})

t.test('a gateway that is not there, or answers otherwise, fails the run', async (t) => {
  const away = await k6('smoke', { BASE_URL: 'http://127.0.0.1:1', SUBSCRIPTION_KEY: 'any' })
  t.not(away.code, 0)
  t.match(away.stderr, 'the gateway at BASE_URL does not answer')

  // Its reader key opens loads alone
  const refused = await k6('smoke', { BASE_URL: system.baseUrl, SUBSCRIPTION_KEY: system.readerKey })
  t.not(refused.code, 0)
})

t.test('failed checks fail the run', async (t) => {
  system.kill('audit', 'SIGSTOP')
  try {
    const { code, stderr } = await k6('load', { USERS: '0', RATE: '2', DURATION: '2s' })
    t.equal(code, 99)
    t.match(stderr, /thresholds on metrics '.*checks\{scenario:arrivals\}/)
  } finally {
    system.kill('audit', 'SIGCONT')
  }
})

t.test('a setting that is none is named', async (t) => {
  t.match(await k6('load', { USERS: 'many' }), { code: 107, stderr: /USERS must be a whole number/ })
  t.match(await k6('load', { BASE_URL: system.baseUrl, SUBSCRIPTION_KEY: '' }), { code: 1, stderr: /BASE_URL needs SUBSCRIPTION_KEY beside it/ })
  t.match(await k6('unknown'), { code: 1, stderr: /SCRIPT {2}breakpoint, load, rotation, smoke, soak, spike/ })
})
