import { test } from 'tap'
import { AUDITOR_KEY, PATIENT, RECORD, record, startPage } from './app.ts'

const JWT = `${'a'.repeat(20)}.${'b'.repeat(40)}.${'c'.repeat(40)}`
const CHECKPOINT = '/log/checkpoint'
const finding = {
  id: 'f-1',
  rule: 'break-the-glass',
  date: '2026-11-28T12:00:00Z',
  records: [RECORD],
  count: 1,
  state: 'under-review',
  history: []
}
const RECORD_PATH = `/audit/${RECORD}`

test('asks the gateway with the key and the person, and with a token where that was typed', async (t) => {
  const page = await startPage(t, { [CHECKPOINT]: { body: 'any' } })
  const cookie = await page.signIn()
  await page.get(`/patients/${PATIENT}`, cookie)
  t.match(page.asked.at(-1), {
    url: `/patient/${PATIENT}/access-log`,
    headers: {
      'ocp-apim-subscription-key': AUDITOR_KEY,
      authorization: undefined,
      'x-on-behalf-of': 'reviewer-17',
      'x-purpose-of-use': 'HCOMPL',
      traceparent: /^00-/
    }
  })
  await page.get('/records', await page.signIn({ key: JWT, purpose: 'FRAUD' }))
  t.match(page.asked.find(({ url }) => url.startsWith('/audit?')), {
    headers: {
      'ocp-apim-subscription-key': undefined,
      authorization: `Bearer ${JWT}`,
      'x-purpose-of-use': 'FRAUD'
    }
  })
  t.notMatch(page.logs(), AUDITOR_KEY)
  t.notMatch(page.logs(), PATIENT, 'paths have ids')
})

test('lets nobody in without a session, and leads only to its own pages after signing in', async (t) => {
  const page = await startPage(t, { [CHECKPOINT]: { body: 'any' } })
  const paths = [
    '', '/records', '/records.csv', `/records/${RECORD}`, `/patients/${PATIENT}`, '/findings', '/integrity',
    '/evidence', '/keys'
  ]
  for (const path of paths) {
    const { statusCode, headers } = await page.get(path)
    t.equal(statusCode, 303, path)
    t.equal(headers.location, `/auditor/sign-in?${new URLSearchParams({ next: `/auditor${path}` })}`)
  }
  t.strictSame(page.asked, [])
  const typed = { key: AUDITOR_KEY, onBehalfOf: 'reviewer-17', purpose: 'HCOMPL' }
  const own = ['/auditor', '/auditor/records?actor=ward-7', `/auditor/patients/${PATIENT}`]
  for (const next of own) t.equal((await page.post('/sign-in', { ...typed, next })).headers.location, next)
  const foreign = [
    '', '//example.com', 'https://example.com/auditor', '/auditors', '/auditor\\@example.com', '/patient',
    '/auditor/sign-out', '/auditor/x\r\nset-cookie: a=b'
  ]
  for (const next of foreign) {
    t.equal((await page.post('/sign-in', { ...typed, next })).headers.location, '/auditor', next)
  }
})

test('refuses forms of other sites', async (t) => {
  const page = await startPage(t, { [CHECKPOINT]: { body: 'any' } })
  const cookie = await page.signIn()
  page.asked.length = 0
  for (const site of ['cross-site', 'same-site', 'none', '']) {
    for (const path of ['/sign-in', '/sign-out', '/findings/a-finding', '/watched-patients']) {
      const headers = { cookie, 'sec-fetch-site': site }
      t.equal((await page.post(path, { state: 'closed', id: PATIENT }, headers)).statusCode, 403, path)
    }
  }
  t.strictSame(page.asked, [])
})

test('says what to do about each refusal of the gateway', async (t) => {
  const page = await startPage(t, { [CHECKPOINT]: { body: 'any' } })
  const cookie = await page.signIn()
  const problem = { code: 'INVALID_REQUEST', detail: 'The request does not fit its schema' }
  const refusals: Array<[status: number, body: object, shown: RegExp, headers?: Record<string, string>]> = [
    [400, { ...problem, errors: [{ pointer: '/to', message: 'must be later' }] }, /<li><strong>to<\/strong> must be later<\/li>/],
    [403, { statusCode: 403, message: 'Out of call volume quota.' }, /Out of call volume quota/],
    [404, {}, /The register does not have it[^<]*archived/],
    [413, { detail: 'More than 10,000 records' }, /More than 10,000 records/],
    [429, { message: 'Rate limit is exceeded.' }, /may ask again in\s+17 seconds/, { 'retry-after': '17' }],
    [500, {}, /The register is not available/],
    [503, {}, /Nothing is lost/, { 'retry-after': '1' }]
  ]
  for (const [status, body, shown, headers = {}] of refusals) {
    page.answers[RECORD_PATH] = { status, body, headers }
    const response = await page.get(`/records/${RECORD}`, cookie)
    t.equal(response.statusCode, status >= 500 ? 503 : status)
    t.match(response.body, shown, String(status))
    t.equal(response.headers['retry-after'], headers['retry-after'])
    t.match(response.body, 'reviewer-17', 'still signed in')
  }
  page.answers[RECORD_PATH] = { status: 401, body: {} }
  const refused = await page.get(`/records/${RECORD}`, cookie)
  t.equal(refused.statusCode, 401)
  t.match(refused.body, 'The key is not accepted')
  t.match(refused.headers['set-cookie'], /^__Secure-auditor=; .*Max-Age=0/, 'the session ends')

  await page.gateway.close()
  const away = await page.get(`/records/${RECORD}`, cookie)
  t.equal(away.statusCode, 503)
  t.match(away.body, 'The register is not available')
})

test('shows the parts of a page that there are, where one is missing', async (t) => {
  const page = await startPage(t, { [CHECKPOINT]: { body: 'any' }, '/audit': { body: [record()] } })
  const cookie = await page.signIn()
  const { statusCode, body } = await page.get('/records', cookie)
  t.equal(statusCode, 200)
  t.match(body, 'The plots are not available now.')
  t.match(body, 'nurse-1138')
  page.answers['/audit/statistics'] = { status: 429, headers: { 'retry-after': '5' } }
  t.equal((await page.get('/records', cookie)).statusCode, 429, 'but not by asking more than the key may')
})

test('warns of a checkpoint that is malformed', async (t) => {
  const page = await startPage(t, { [CHECKPOINT]: { body: 'no note' }, '/log/keys': { body: '' } })
  const { body } = await page.get('/integrity', await page.signIn())
  t.match(body, 'Do not rely on the register until this is explained')
})

test('escapes what records have, and forbids inline scripts, frames and caches', async (t) => {
  const evil = '<script>alert(1)</script>"\'&<img src=x onerror=alert(1)>'
  const hostile = record({
    actor: evil,
    onBehalfOf: evil,
    reason: evil,
    purpose: evil,
    resource: { type: evil, id: evil, operation: evil }
  })
  const page = await startPage(t, {
    [CHECKPOINT]: { body: 'any' },
    [RECORD_PATH]: { body: hostile },
    '/audit': { body: [hostile] },
    [`/patient/${PATIENT}/access-log`]: { body: `${JSON.stringify(hostile)}\n` },
    '/audit/findings': { body: [{ ...finding, id: evil, rule: evil }] }
  })
  const cookie = await page.signIn()
  const query = new URLSearchParams({ actor: evil, id: evil })
  const paths = [`/records?${query}`, `/records/${RECORD}`, `/patients/${PATIENT}`, `/findings?${query}`, '']
  for (const path of paths) {
    const { body, headers } = await page.get(path, cookie)
    t.notMatch(body, /<script>|<img/i, path)
    t.match(body, '&lt;script&gt;', path)
    t.match(headers, {
      'content-security-policy': "default-src 'none';style-src 'self';script-src 'self';connect-src 'self';" +
        "img-src 'self';form-action 'self';base-uri 'none';frame-ancestors 'none'",
      'cache-control': 'no-store',
      'strict-transport-security': /max-age/
    })
  }
})

test('changes the state of a finding under the version that was seen', async (t) => {
  const path = '/audit/findings/f-1'
  const answer = { body: finding, headers: { etag: '"7"' } }
  const page = await startPage(t, { [CHECKPOINT]: { body: 'any' }, [path]: answer })
  const cookie = await page.signIn()
  t.match((await page.get('/findings/f-1', cookie)).body, /name="etag" value="&quot;7&quot;"/)
  const form = { state: 'closed', reason: ' Seen with the head nurse ', etag: '"7"' }
  const { statusCode, headers } = await page.post('/findings/f-1', form, { cookie })
  t.strictSame([statusCode, headers.location], [303, '/auditor/findings/f-1'])
  t.match(page.asked.at(-1), { method: 'PATCH', url: path, headers: { 'if-match': '"7"' } })
  t.strictSame(JSON.parse(page.asked.at(-1)!.body), { state: 'closed', reason: 'Seen with the head nurse' })
  t.equal((await page.post('/findings/f-1', { state: 'gone' }, { cookie })).statusCode, 400)
})

test('answers unknown paths, malformed ids and dates with a page', async (t) => {
  const page = await startPage(t, { [CHECKPOINT]: { body: 'any' } })
  const cookie = await page.signIn()
  page.asked.length = 0
  for (const path of ['/nothing', '/patients/Ada', '/records/1', '/%zz']) {
    const { statusCode, headers, body } = await page.get(path, cookie)
    t.equal(statusCode, 404, path)
    t.match(headers['content-type'], 'text/html')
    t.match(body, 'There is no such page')
  }
  for (const path of [
    '/patients?id=Ada', `/patients/${PATIENT}?days=0`, `/patients/${PATIENT}?days=1.5`,
    `/patients/${PATIENT}?from=yesterday`, '/records?to=never'
  ]) t.equal((await page.get(path, cookie)).statusCode, 400, path)
  t.strictSame(page.asked, [])
})

test('says beside a field what it must be', async (t) => {
  const page = await startPage(t, { [CHECKPOINT]: { body: 'any' } })
  const besides = (body: string, name: string) =>
    new RegExp(`id="${name}"[^>]*aria-invalid="true" aria-describedby="${name}-problem">\\s*` +
      `<span class="problem" id="${name}-problem" role="alert">([^<]*)`).exec(body)?.[1]

  const names = ['Ada Lovelace', 'é', 'x'.repeat(129), '']
  for (const onBehalfOf of names) {
    const typed = { key: AUDITOR_KEY, purpose: 'HCOMPL', onBehalfOf }
    const { statusCode, body } = await page.post('/sign-in', typed)
    t.equal(statusCode, 400, onBehalfOf)
    t.match(besides(body, 'onBehalfOf'), 'letters (A to Z), digits or ._@:- and no blanks', onBehalfOf)
    t.notMatch(body, AUDITOR_KEY)
  }
  const cookie = await page.signIn()
  page.asked.length = 0
  for (const [path, name, message] of [
    ['/records?to=never', 'to', 'must be a date and time'],
    ['/records?from=2026-02-31T10:00', 'from', 'must be a date and time'],
    [`/patients/${PATIENT}?from=yesterday`, 'from', 'must be a date and time'],
    [`/patients/${PATIENT}?days=1.5`, 'days', 'must be a whole number from 1 to 366']
  ] as const) t.equal(besides((await page.get(path, cookie)).body, name), message)
  t.strictSame(page.asked, [])

  const errors = [{ pointer: '#/to', message: 'must be at most 31 days after from' }]
  const refusal = { status: 400, body: { code: 'INVALID_REQUEST', detail: 'Not valid', errors } }
  Object.assign(page.answers, {
    '/audit': refusal, '/audit/statistics': refusal, [`/patient/${PATIENT}/access-log`]: refusal
  })
  const range = 'from=2026-01-01T00:00&to=2026-03-01T00:00'
  for (const path of [`/records?${range}&actor=ward-7`, `/patients/${PATIENT}?${range}`]) {
    const { statusCode, body } = await page.get(path, cookie)
    t.equal(statusCode, 400)
    t.equal(besides(body, 'to'), errors[0]!.message, path)
    t.match(body, 'value="2026-03-01T00:00"', 'what was typed stays')
  }
  errors.push({ pointer: '#/id', message: 'must match pattern "^[a-z]*$"' })
  const { body } = await page.get(`/records?${range}&id=<b>`, cookie)
  t.equal(besides(body, 'id'), 'has characters that no id or code has')
  // What is about no field of the form
  errors.push({ pointer: '#/cursor', message: 'is not valid' })
  t.match((await page.get(`/records?${range}`, cookie)).body, 'The question is not valid')
})

test('says that reads have no outcome of their own', async (t) => {
  const range = { from: '2026-11-27T12:00:00Z', to: '2026-11-28T12:00:00Z', until: '2026-11-28T12:00:00Z' }
  const rows = [{ start: range.from, actor: 'ward-7', type: 'patient', operation: 'load', count: 3 }]
  const page = await startPage(t, {
    [CHECKPOINT]: { body: 'any' },
    '/audit': { body: [record()] },
    '/audit/statistics': { body: { ...range, by: 'hour', rows } }
  })
  const { body } = await page.get('/records', await page.signIn())
  t.match(body, /<th[^>]*>not stated<\/th>/)
  t.match(body, /Outcome not stated: reads and questions/)
})
