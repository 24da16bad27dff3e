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

// Runs the scripts with k6 on a whole system

const MAIN = fileURLToPath(import.meta.resolve('../main.ts'))
/** So that no test depends on the speed of the machine. */
const UNHURRIED = { P95_MS: '60000' }

if (!await installedK6()) {
  process.stderr.write('*** NOT TESTED: k6/, since k6 is not installed; run npm run k6:install ***\n')
  t.plan(0, 'k6 is not installed')
  process.exit()
}

const system = await startSystem({ env: { KEY_REFRESH_SECONDS: '1' } })
t.teardown(() => system.stop())
const results = mkdtempSync(join(tmpdir(), 'k6-'))
t.teardown(() => rmSync(results, { recursive: true }))

/** Runs `npm run k6` on the running system and returns its output and its summary. */
async function k6 (script: string, env: NodeJS.ProcessEnv = {}) {
  const none = { BASE_URL: '', SUBSCRIPTION_KEY: '', USERS: '', RATE: '' }
  const own = { LOCAL_DIR: system.localDir, ARTEFACTS: results }
  const settings = { ...process.env, ...own, ...none, ...UNHURRIED, ...env }
  const { promise, resolve } = Promise.withResolvers<{ code: number, stdout: string, stderr: string }>()
  execFile(process.execPath, [MAIN, script, '--quiet'], { env: settings }, (error, stdout, stderr) => {
    resolve({ code: error ? Number(error.code) : 0, stdout, stderr })
  })
  const { code, stdout, stderr } = await promise
  return {
    code,
    stdout,
    stderr,
    summary: () => JSON.parse(readFileSync(join(results, `${script}.json`), 'utf8')) as Summary,
    page: () => readFileSync(join(results, `${script}.html`), 'utf8')
  }
}

/** How often each check passed. */
function passes ({ results: { checks } }: Summary) {
  return Object.fromEntries(checks.results.map(({ name, passes }) => [name, passes]))
}

const mixed = [
  'echo: 200',
  'create: 201 with what was sent, an id and a time',
  'create, invalid: 400 that names the property',
  'load: 200 as it was stored',
  'load, unknown: 404',
  'update: 200 with the same details and a later time',
  'search by id: 200 with this patient alone',
  'search by {}: 200 with a page',
  'create test: 201 with what was sent and an id',
  'create test, invalid: 400 that names the property',
  'load tests: 200 with those of this patient',
  'load tests, unknown patient: 404',
  'load test: 200 as it was stored',
  'load test, unknown: 404'
]

/** The number of patients in the database. */
async function patients () {
  const pool = new Pool(system.baseUrl)
  const headers = { 'ocp-apim-subscription-key': system.subscriptionKey }
  const { body } = await pool.request({ method: 'POST', path: '/patient/search', body: '{}', headers })
  const found = await body.json() as object[]
  await pool.close()
  return found.length
}

function allHeld (t: Test, { results: { checks } }: Summary) {
  t.same(checks.results.filter(({ fails }) => fails > 0), [], 'every check held')
}

t.test('smoke calls every operation', async (t) => {
  const { code, stderr, summary } = await k6('smoke')
  t.equal(code, 0, stderr)
  allHeld(t, summary())
  const held = passes(summary())
  const others = [
    'patch: 200 as it was changed',
    'patch test, changed meanwhile: 412',
    'delete test: 204',
    'delete: 204',
    'load, deleted: 404',
    'next page: 200 with another one'
  ]
  for (const name of [...mixed, ...others]) t.equal(held[name], 3, name)
  t.equal(await patients(), 0, 'nothing is left behind')
})

t.test('load sends the whole mix in its shares, by users and by arrivals', async (t) => {
  const { code, stdout, stderr, summary, page } = await k6('load', { USERS: '4', RATE: '60', DURATION: '6s' })
  t.equal(code, 0, stderr)
  t.match(stdout, `${results}/load.html`)
  allHeld(t, summary())
  const held = passes(summary())
  for (const name of mixed) t.ok(held[name]! > 0, name)
  // 360 arrivals: 40 rounds, of which 4 have the other one of each operation; the first operation of a user
  // stores
  const other = held['create, invalid: 400 that names the property']!
  const created = held['create: 201 with what was sent, an id and a time']!
  t.ok(other >= 3 && other <= 5 && created > 6 * other, 'one create of ten is invalid')
  for (const scenario of ['users', 'arrivals']) {
    const { metrics } = summary().results
    const failed = metrics.find(({ name }) => name === `http_req_failed{scenario:${scenario}}`)!.values
    t.match(failed, { matches: 0 })
    t.ok(failed.total! > 0, `requests of ${scenario}`)
  }
  t.equal(await patients(), 0, 'nothing is left behind')

  const text = page()
  t.match(text, /<html/)
  t.notMatch(text, /(?:src|href)\s*=\s*["']?https?:|@import|url\(\s*["']?https?:/, 'the page fetches nothing')
  for (const output of [text, JSON.stringify(summary()), stdout, stderr]) {
    t.notOk(output.includes(system.subscriptionKey), 'no output contains the key')
  }
})

t.test('rotation rotates every key beside the load', async (t) => {
  const { code, stdout, stderr, summary } = await k6('rotation', { RATE: '10', DURATION: '12s' })
  t.equal(code, 0, stderr)
  allHeld(t, summary())
  t.match(stdout, /^[2-9] rotations of (7|10) secrets/m)
  t.ok(passes(summary())['create again with the same Idempotency-Key: 201 with the same patient']! > 0)
})

t.test('soak reports how memory grows', { skip: process.platform !== 'linux' }, async (t) => {
  const { code, stdout, stderr, summary } = await k6('soak', { USERS: '2', RATE: '10', DURATION: '6s' })
  t.equal(code, 0, stderr)
  allHeld(t, summary())
  const names = ['gateway', 'patient', 'audit', ...system.run.database ? ['database'] : []]
  for (const name of names) t.match(stdout, `${name}: the run was too short`)
})

t.test('breakpoint ends at the first rate that exceeds the bound, and reports it', async (t) => {
  const settings = { RATE: '20', STEP_SECONDS: '3', P95_MS: '1' }
  const { code, stdout, stderr, summary } = await k6('breakpoint', settings)
  t.equal(code, 0, stderr)
  t.match(stdout, /^exceeded the bound: 20 operations a second with a 95th percentile of \d+ ms$/m)
  t.match(stderr, 'stopping test prematurely')
  t.equal(breakpointOf(summary(), true).exceeded?.rate, 20)
})

t.test('a wrong key ends the run at once with a message', async (t) => {
  const settings = { BASE_URL: system.baseUrl, SUBSCRIPTION_KEY: 'a-wrong-one', USERS: '2', DURATION: '60s' }
  const { code, stderr } = await k6('load', settings)
  t.not(code, 0)
  t.match(stderr, 'the gateway refuses SUBSCRIPTION_KEY (401)')
  t.notMatch(stderr, 'a-wrong-one')
})

t.test('an unreachable gateway or an unexpected response fails the run', async (t) => {
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

t.test('an invalid setting is named', async (t) => {
  t.match(await k6('load', { USERS: 'many' }), { code: 107, stderr: /USERS must be a whole number/ })
  const withoutKey = await k6('load', { BASE_URL: system.baseUrl, SUBSCRIPTION_KEY: '' })
  t.match(withoutKey, { code: 1, stderr: /BASE_URL requires SUBSCRIPTION_KEY/ })
  const usage = /SCRIPT {2}breakpoint, load, rotation, smoke, soak, spike/
  t.match(await k6('unknown'), { code: 1, stderr: usage })
})
