import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { asClient, startGateway } from './gateway.ts'
import { changed, documentOf, inSeconds, startGuarded, vaultOf } from './policies.ts'

// Each sentence of the contract that the policies keep, and the changes of the policies that break it

const CACHE_SECONDS = 0.3
const HEADERS = [
  'x-functions-key', 'forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto',
  'x-forwarded-port', 'x-real-ip', 'baggage', 'x-audit-actor', 'x-audit-client-address', 'x-audit-request-id'
]
const POST = { method: 'POST', body: '{"firstName":"Ada"}', headers: asClient } as const
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** A gateway with the policies in `dir`, a service that accepts the key "one", and a vault that has it. */
async function start (t: Test, dir: string | undefined, settings: NodeJS.ProcessEnv = {}, cacheSeconds = 60) {
  const vault = vaultOf('one')
  const service = await startGuarded(t, 'one')
  const gateway = await startGateway(t, service.url, { ...dir && { POLICIES_DIR: dir }, ...settings }, {
    sendRequest: vault.request,
    namedValues: {
      'host-key-cache-seconds': String(cacheSeconds),
      'gateway-identity-client-id': 'the-identity',
      'key-vault-uri': 'https://a-vault.vault.azure.net'
    }
  })
  return { vault, service, ...gateway }
}

type Sentence = (t: Test, dir?: string) => Promise<void>

/** @throws {assert.AssertionError} */
async function isUnavailable (
  answer: Awaited<ReturnType<Awaited<ReturnType<typeof start>>['call']>>,
  accessLog: (count: number) => Promise<Array<{ requestId: string }>>
) {
  assert.equal(answer.statusCode, 503)
  assert.equal(answer.headers['retry-after'], '1')
  assert.match(String(answer.headers['content-type']), /^application\/json/)
  assert.equal(answer.headers['www-authenticate'], undefined)
  const [{ requestId } = { requestId: '' }] = await accessLog(1)
  assert.match(requestId, UUID)
  assert.deepEqual(answer.json(), { statusCode: 503, message: 'Service unavailable', activityId: requestId })
}

/** @throws {assert.AssertionError} the service gets the header `name` of a client */
async function isNotForwarded (name: string, t: Test, dir?: string) {
  // Even if the policy of the API does not set it
  const set = new RegExp(`<set-header name="${name}" exists-action="override">[^]*?</set-header>`)
    .exec(documentOf('patient'))
  const { call, service } = await start(t, set ? changed(t, 'patient', set[0], '', dir) : dir)
  await call('/patient/1', { headers: { ...asClient, [name]: 'forged' } })
  assert.equal(service.seen[0]!.headers[name], undefined)
}

const sentences: Record<string, Sentence> = {
  ...Object.fromEntries(HEADERS.map((name): [string, Sentence] => [
    `a client cannot set ${name}`, (t, dir) => isNotForwarded(name, t, dir)
  ])),
  'the subscription key reaches the service neither way': async (t, dir) => {
    const { call, service } = await start(t, dir)
    await call('/patient/1?a=1&subscription-key=in-the-query', { headers: asClient })
    assert.equal(service.seen[0]!.headers['ocp-apim-subscription-key'], undefined)
    assert.equal(service.seen[0]!.url, '/patient/1?a=1')
  },
  'only POST searches: the path of a search is no patient': async (t, dir) => {
    const { call, service } = await start(t, dir)
    for (const method of ['GET', 'PUT', 'PATCH', 'DELETE'] as const) {
      for (const path of ['/patient/search', '/patient/search/']) {
        assert.equal((await call(path, { method, headers: asClient })).statusCode, 404)
      }
    }
    assert.equal(service.seen.length, 0)
    assert.equal((await call('/patient/search', POST)).statusCode, 200)
    assert.equal((await call('/patient/1', { headers: asClient })).statusCode, 200)
  },
  'the service is shown its host key': async (t, dir) => {
    const { call, service } = await start(t, dir)
    assert.equal((await call('/patient/1', { headers: asClient })).statusCode, 200)
    assert.equal(service.seen.length, 1)
    assert.equal(service.seen[0]!.key, 'one')
  },
  'the service gets who asks: the id of the subscription': async (t, dir) => {
    const { call, service } = await start(t, dir)
    await call('/patient/1', { headers: asClient })
    assert.equal(service.seen[0]!.headers['x-audit-actor'], 'test-client')
  },
  'the service gets from where': async (t, dir) => {
    const { call, service } = await start(t, dir)
    await call('/patient/1', { headers: asClient })
    assert.equal(service.seen[0]!.headers['x-audit-client-address'], '127.0.0.1')
  },
  'the service gets under which request': async (t, dir) => {
    const { call, service, accessLog } = await start(t, dir)
    await call('/patient/1', { headers: asClient })
    const [line] = await accessLog(1)
    assert.match(line.requestId, UUID)
    assert.equal(service.seen[0]!.headers['x-audit-request-id'], line.requestId)
  },
  'the key is asked of the vault as the gateway\'s identity': async (t, dir) => {
    const { call, vault } = await start(t, dir)
    await call('/patient/1', { headers: asClient })
    assert.deepEqual(vault.asked, [{
      url: 'https://a-vault.vault.azure.net/secrets/patient-host-key?api-version=7.4',
      method: 'GET',
      resource: 'https://vault.azure.net',
      clientId: 'the-identity',
      timeoutMs: 5_000
    }])
  },
  'the vault is not asked for every call': async (t, dir) => {
    const { call, vault } = await start(t, dir)
    for (let i = 0; i < 5; i++) {
      assert.equal((await call('/patient/1', {
        headers: asClient
      })).statusCode, 200)
    }
    assert.equal(vault.asked.length, 1)
  },
  'a key is read anew in time': async (t, dir) => {
    const { call, vault, service } = await start(t, dir, {}, CACHE_SECONDS)
    await call('/patient/1', { headers: asClient })
    vault.add('two')
    service.keys.add('two')
    await sleep(CACHE_SECONDS * 1_000 + 50)
    await call('/patient/1', { headers: asClient })
    assert.deepEqual(service.seen.map(({ key }) => key), ['one', 'two'])
  },
  'a version that is not active yet is not shown, where it supersedes one': async (t, dir) => {
    const { call, vault, service } = await start(t, dir)
    vault.add('two', { nbf: inSeconds(600) })
    service.keys.add('two')
    await call('/patient/1', { headers: asClient })
    assert.deepEqual(service.seen.map(({ key }) => key), ['one'])
    assert.equal(vault.asked[1]!.resource, 'https://vault.azure.net')
    assert.equal(vault.asked[1]!.clientId, 'the-identity')
  },
  'one that is active is, though it has a time to begin': async (t, dir) => {
    const { call, vault, service } = await start(t, dir)
    vault.add('two', { nbf: inSeconds(-1) })
    service.keys.add('two')
    await call('/patient/1', { headers: asClient })
    assert.deepEqual(service.seen.map(({ key }) => key), ['two'])
  },
  'one that is not active yet is better than one that has expired': async (t, dir) => {
    const { call, vault, service } = await start(t, dir)
    vault.add('two', { nbf: inSeconds(600) })
    vault.change('one', { exp: inSeconds(-1) })
    service.keys.add('two')
    await call('/patient/1', { headers: asClient })
    assert.deepEqual(service.seen.map(({ key }) => key), ['two'])
  },
  'a key that is refused is read anew, and the call tried once more with its whole body': async (t, dir) => {
    const { call, vault, service } = await start(t, dir)
    await call('/patient/1', { headers: asClient })
    vault.add('two')
    service.keys.delete('one')
    service.keys.add('two')
    for (const options of [POST, { headers: asClient }]) {
      const { statusCode } = await call('method' in options ? '/patient' : '/patient/1', options)
      assert.equal(statusCode, 200)
    }
    assert.deepEqual(service.seen.slice(1).map(({ key, body }) => [key, body]), [
      ['one', POST.body], ['two', POST.body], ['two', '']
    ])
  },
  'a body of 1 MiB is tried once more too': async (t, dir) => {
    const { call, vault, service } = await start(t, dir)
    await call('/patient/1', { headers: asClient })
    vault.add('two')
    service.keys.delete('one')
    service.keys.add('two')
    const body = randomBytes(2 ** 19).toString('hex')
    assert.equal((await call('/patient', { ...POST, body })).statusCode, 200)
    assert.equal(service.seen.at(-1)!.body, body)
  },
  'where the service does not know the newest yet, the one before it is shown': async (t, dir) => {
    const { call, vault, service } = await start(t, dir)
    vault.add('two')
    assert.equal((await call('/patient', POST)).statusCode, 200)
    assert.deepEqual(service.seen.map(({ key }) => key), ['two', 'one'])
  },
  'but not one that has expired': async (t, dir) => {
    const { call, vault, service } = await start(t, dir)
    vault.add('two')
    vault.change('one', { exp: inSeconds(-1) })
    await call('/patient', POST)
    assert.deepEqual(service.seen.map(({ key }) => key), ['two', 'two'])
  },
  'a service that refuses every key is tried twice, and is a 503': async (t, dir) => {
    const { call, service, accessLog } = await start(t, dir)
    service.keys.clear()
    await isUnavailable(await call('/patient', POST), accessLog)
    assert.equal(service.seen.length, 2)
  },
  'a service that refuses the gateway\'s address is a 503 at once': async (t, dir) => {
    const { call, service, accessLog } = await start(t, dir)
    service.keys.clear()
    service.state.refusal = 403
    await isUnavailable(await call('/patient', POST), accessLog)
    assert.equal(service.seen.length, 1)
  },
  'every other answer of the service is the client\'s': async (t, dir) => {
    const { call, service } = await start(t, dir)
    service.keys.clear()
    service.state.fields = { 'retry-after': '3' }
    for (const status of [400, 404, 409, 412, 500, 503]) {
      service.state.refusal = status
      const answer = await call('/patient', POST)
      assert.equal(answer.statusCode, status)
      assert.equal(answer.text, '{}')
    }
  },
  'what the ingress before the service answers is a 503': async (t, dir) => {
    for (const status of [502, 503, 504]) {
      const { call, service, accessLog } = await start(t, dir)
      service.keys.clear()
      service.state.refusal = status
      await isUnavailable(await call('/patient', POST), accessLog)
      assert.equal(service.seen.length, 1)
    }
  },
  'a service that cannot be reached is a 503': async (t, dir) => {
    const { call, accessLog } = await start(t, dir, { PATIENT_URL: 'http://127.0.0.1:1' })
    await isUnavailable(await call('/patient', POST), accessLog)
  },
  'without any key there is a 503, and the service is not called': async (t, dir) => {
    const { call, vault, service, accessLog } = await start(t, dir)
    vault.state.away = true
    await isUnavailable(await call('/patient', POST), accessLog)
    assert.equal(service.seen.length, 0)
  },
  'an outage of the vault costs no request': async (t, dir) => {
    const { call, vault, service } = await start(t, dir, {}, CACHE_SECONDS)
    vault.add('two', { nbf: inSeconds(600) })
    await call('/patient/1', { headers: asClient })
    vault.state.away = true
    for (let i = 0; i < 3; i++) {
      await sleep(CACHE_SECONDS * 1_000 + 50)
      assert.equal((await call('/patient', POST)).statusCode, 200)
    }
    assert.deepEqual(service.seen.map(({ key }) => key), ['one', 'one', 'one', 'one'])
  },
  'nor does it where the key in use expires meanwhile, and the next one was known': async (t, dir) => {
    const { call, vault, service } = await start(t, dir, {}, CACHE_SECONDS)
    vault.add('two', { nbf: inSeconds(600) })
    assert.equal((await call('/patient', POST)).statusCode, 200)
    vault.state.away = true
    service.keys.delete('one')
    service.keys.add('two')
    for (let i = 0; i < 2; i++) {
      await sleep(CACHE_SECONDS * 1_000 + 50)
      assert.equal((await call('/patient', POST)).statusCode, 200)
    }
    assert.deepEqual(service.seen.map(({ key }) => key), ['one', 'one', 'two', 'two'])
  },
  'while the vault does not answer, one call waits for it and the others go on': async (t, dir) => {
    const { call, vault } = await start(t, dir, {}, 2)
    await call('/patient/1', { headers: asClient })
    const hanging = Promise.withResolvers<void>()
    vault.state.until = hanging.promise
    await sleep(2_050)
    const waiting = call('/patient', POST)
    while (vault.asked.length < 2) await sleep(1)
    const other = call('/patient', POST)
    const state = { answered: false }
    other.then(() => { state.answered = true })
    while (!state.answered && vault.asked.length < 3) await sleep(1)
    hanging.resolve()
    assert.deepEqual((await Promise.all([waiting, other])).map(({ statusCode }) => statusCode), [200, 200])
    assert.equal(vault.asked.length, 2)
  },
  'a subscription may make so many calls a minute, over all APIs': async (t, dir) => {
    const { call } = await start(t, dir, { RATE_LIMIT: '2' })
    const statuses = []
    for (const path of [
      '/patient/1', '/echo/resource', '/patient/1', '/echo/resource'
    ]) statuses.push((await call(path, { headers: asClient })).statusCode)
    assert.deepEqual(statuses, [200, 200, 429, 429])
  },
  'and so many calls a day': async (t, dir) => {
    const { call } = await start(t, dir, { CALLS_PER_DAY: '2', RATE_LIMIT: '100' })
    for (let i = 0; i < 2; i++) {
      assert.equal((await call('/patient/1', {
        headers: asClient
      })).statusCode, 200)
    }
    const { statusCode, headers, json } = await call('/patient/1', { headers: asClient })
    assert.equal(statusCode, 403)
    assert.ok(Number(headers['retry-after']) > 86_000)
    assert.match(json().message, /^Out of call volume quota\. Quota will be replenished in \d\d:\d\d:\d\d\.$/)
  },
  'the echo gets nothing, and answers behind a key': async (t, dir) => {
    const { call, vault } = await start(t, dir)
    assert.deepEqual((await call('/echo/resource?a=1&subscription-key=x', { headers: asClient })).json(), {
      method: 'GET', path: '/echo/resource', query: { a: '1' }
    })
    assert.equal(vault.asked.length, 0)
  }
}

t.test('the policies keep the contract', async (t) => {
  for (const [name, holds] of Object.entries(sentences)) await t.test(name, (t) => holds(t))
})

type Change = [document: string, from: string, to: string]
const [store, lookup, when] = [
  'cache-store-value', 'cache-lookup-value', 'when'
].map((name) => (marker: string) => statement('patient', name, marker)) as [Find, Find, Find]
type Find = (marker: string) => string

/** The statement of this name, as it stands in the document, that holds `marker`. */
function statement (document: string, name: string, marker: string) {
  const found = [
    ...documentOf(document).matchAll(new RegExp(`<${name}\\b(?:[^>"']|"[^"]*"|'[^']*')*>`, 'g'))
  ].map(([text]) => text).find((text) => text.includes(marker))
  if (!found) throw new Error(`no <${name}> holds ${marker}`)
  return found
}

const without = (document: string, text: string): Change => [document, text, '']
/** The document with `from` changed in the answer of 503 that follows `marker`. */
function spoiled (marker: string, from: RegExp | string, to: string): Change {
  const xml = documentOf('patient')
  const start = xml.indexOf('<return-response>', xml.indexOf(marker))
  const end = xml.indexOf('</return-response>', start)
  const answer = xml.slice(start, end).replace(from, to)
  if (answer === xml.slice(start, end)) throw new Error(`the answer has no ${from}`)
  return ['patient', xml, xml.slice(0, start) + answer + xml.slice(end)]
}

const header = (name: string) => new RegExp(`<set-header name="${name}"[^]*?</set-header>`)

const WITHOUT_KEY = '<when condition=\'@((string)context.Variables["host-key"] == "")\'>'

const ACTIVITY_ID = ', new JProperty("activityId", context.RequestId.ToString())'
const TEXT_PLAIN =
  '<set-header name="Content-Type" exists-action="override"><value>text/plain</value></set-header>'

const mutations: Array<[what: string, sentence: string, ...Change]> = [
  [
    'every method searches', 'only POST searches: the path of a search is no patient', 'patient',
    'context.Request.Method != "POST"', 'context.Request.Method == "TRACE"'
  ],
  [
    'no method searches', 'only POST searches: the path of a search is no patient', 'patient',
    'context.Request.Method != "POST"', 'context.Request.Method != "GET"'
  ],
  [
    'a slash is forgotten', 'only POST searches: the path of a search is no patient', 'patient',
    ' || context.Request.OriginalUrl.Path == "/patient/search/"', ''
  ],
  ...HEADERS.map((name): [string, string, ...Change] => [
    `${name} is not deleted`, `a client cannot set ${name}`,
    ...without('global', statement('global', 'set-header', `"${name}"`))
  ]),
  [
    'the key in the header is not deleted', 'the subscription key reaches the service neither way',
    ...without('global', statement('global', 'set-header', 'Ocp-Apim'))
  ],
  [
    'the key in the query is not deleted', 'the subscription key reaches the service neither way',
    ...without('global', statement('global', 'set-query-parameter', 'subscription-key'))
  ],
  [
    'the policy of all APIs is left out', 'the subscription key reaches the service neither way', 'product',
    '<base />\n    <choose>', '<choose>'
  ],
  [
    'no host key is set', 'the service is shown its host key', 'patient',
    header('x-functions-key').exec(documentOf('patient'))![0], ''
  ],
  [
    'another host key is asked for', 'the service is shown its host key', 'patient',
    '/secrets/patient-host-key?', '/secrets/audit-host-key?'
  ],
  [
    'no actor is set', 'the service gets who asks: the id of the subscription', 'patient',
    '<value>@(context.Subscription.Id)</value>', '<value>client</value>'
  ],
  [
    'no address is set', 'the service gets from where', 'patient',
    '<value>@(context.Request.IpAddress)</value>', '<value>@(context.Subscription.Id)</value>'
  ],
  [
    'no request id is set', 'the service gets under which request', 'patient',
    header('x-audit-request-id').exec(documentOf('patient'))![0], ''
  ],
  [
    'the token is for another resource', 'the key is asked of the vault as the gateway\'s identity',
    'patient', 'resource="https://vault.azure.net"', 'resource="https://management.azure.com"'
  ],
  [
    'the token is another identity\'s', 'the key is asked of the vault as the gateway\'s identity', 'patient',
    'client-id="{{gateway-identity-client-id}}"', 'client-id="another"'
  ],
  [
    'the key is not looked up', 'the vault is not asked for every call', 'patient',
    lookup('"patient-host-key"'), lookup('"patient-host-key"').replace('"patient-host-key"', '"another"')
  ],
  [
    'a key is kept for a day', 'a key is read anew in time', 'patient',
    `${WITHOUT_KEY}\n          <cache-lookup-value key="patient-host-key-last"`,
    `${WITHOUT_KEY.replace('@((', '@(!((')
      .replace('== "")', '!= "" || (string)context.Variables["refused"] == ""))')}
          <cache-lookup-value key="patient-host-key-last"`
  ],
  [
    'when a version becomes active is not looked at',
    'a version that is not active yet is not shown, where it supersedes one', 'patient',
    '["attributes"]["nbf"]', '["attributes"]["none"]'
  ],
  [
    'every version counts as not active', 'one that is active is, though it has a time to begin', 'patient',
    '["attributes"]["nbf"] ?? 0) > DateTimeOffset.UtcNow.ToUnixTimeSeconds()',
    '["attributes"]["nbf"] ?? 0) > 0'
  ],
  [
    'when a version ends is not looked at', 'one that is not active yet is better than one that has expired',
    'patient', '["attributes"]["exp"]', '["attributes"]["none"]'
  ],
  [
    'when a version ends is not looked at after a refusal', 'but not one that has expired', 'patient',
    '["attributes"]["exp"]', '["attributes"]["none"]'
  ],
  [
    'there is no retry',
    'a key that is refused is read anew, and the call tried once more with its whole body', 'patient',
    '<retry condition="@(context.Response.StatusCode == 401)"',
    '<retry condition="@(context.Response.StatusCode == 499)"'
  ],
  [
    'the key is not read anew',
    'a key that is refused is read anew, and the call tried once more with its whole body', 'patient',
    '<set-variable name="host-key" value=\'@("")\' />', ''
  ],
  [
    'the body is not kept',
    'a key that is refused is read anew, and the call tried once more with its whole body', 'patient',
    ' buffer-request-body="true"', ''
  ],
  [
    'a large body is not kept', 'a body of 1 MiB is tried once more too', 'patient',
    ' buffer-request-body="true"', ' buffer-request-body="false"'
  ],
  [
    'it is tried again and again', 'a service that refuses every key is tried twice, and is a 503', 'patient',
    'count="1"', 'count="3"'
  ],
  [
    'the version before is not tried',
    'where the service does not know the newest yet, the one before it is shown', 'patient',
    ' || (string)context.Variables["host-key"] == (string)context.Variables["refused"]', ''
  ],
  [
    'a 401 goes to the client', 'a service that refuses every key is tried twice, and is a 503', 'patient',
    'context.Response.StatusCode == 401 || context.Response.StatusCode == 403',
    'context.Response.StatusCode == 403'
  ],
  [
    'a 403 goes to the client', 'a service that refuses the gateway\'s address is a 503 at once', 'patient',
    ' || context.Response.StatusCode == 403', ''
  ],
  [
    'a 404 does not go to the client', 'every other answer of the service is the client\'s', 'patient',
    ' || context.Response.StatusCode == 403', ' || context.Response.StatusCode == 404'
  ],
  ...['502', '503', '504'].map((status): [string, string, ...Change] => [
    `a ${status} of the ingress goes to the client`, 'what the ingress before the service answers is a 503',
    'patient', `context.Response.StatusCode ${status === '503' ? '!=' : '=='} ${status}`,
    `context.Response.StatusCode ${status === '503' ? '!=' : '=='} 499`
  ]),
  [
    'a 503 of the service does not go to the client', 'every other answer of the service is the client\'s',
    'patient', ' || context.Response.Headers.GetValueOrDefault("Retry-After", "") != ""', ''
  ],
  [
    'on-error says nothing', 'a service that cannot be reached is a 503', 'patient', when('LastError'),
    when('LastError').replace('backend', 'outbound')
  ],
  [
    'the service is called without a key', 'without any key there is a 503, and the service is not called',
    'patient',
    `${WITHOUT_KEY}\n              <return-response>`,
    `${WITHOUT_KEY.replace('""', '"never"')}\n              <return-response>`
  ],
  ...[
    ['duration="86400"', 'without any key there is a 503, and the service is not called'],
    ['<outbound>', 'a service that refuses every key is tried twice, and is a 503'],
    ['<on-error>', 'a service that cannot be reached is a 503']
  ].flatMap(([marker, sentence]): Array<[string, string, ...Change]> => [
    ['a 503 does not say when to try again', sentence!, ...spoiled(marker!, header('Retry-After'), '')],
    ['a 503 has another type', sentence!, ...spoiled(marker!, header('Content-Type'), TEXT_PLAIN)],
    ['a 503 says something else', sentence!, ...spoiled(marker!, 'Service unavailable', 'Unavailable')],
    ['a 503 is a 500', sentence!, ...spoiled(marker!, 'code="503"', 'code="500"')],
    ['a 503 does not name the request', sentence!, ...spoiled(marker!, ACTIVITY_ID, '')]
  ]),
  [
    'what was shown is not kept', 'an outage of the vault costs no request', 'patient',
    store('"patient-host-key-last"'), ''
  ],
  [
    'what was shown is not looked up', 'an outage of the vault costs no request', 'patient',
    lookup('"patient-host-key-last"'), lookup('"patient-host-key-last"').replace('-last"', '-lost"')
  ],
  [
    'the newest is not kept',
    'nor does it where the key in use expires meanwhile, and the next one was known', 'patient',
    store('"patient-host-key-next"'), ''
  ],
  [
    'the newest is not looked up',
    'nor does it where the key in use expires meanwhile, and the next one was known', 'patient',
    lookup('"patient-host-key-next"'), lookup('"patient-host-key-next"').replace('-next"', '-lost"')
  ],
  [
    'an error of the vault ends the call', 'an outage of the vault costs no request', 'patient',
    'ignore-error="true"', 'ignore-error="false"'
  ],
  [
    'every call asks the vault',
    'while the vault does not answer, one call waits for it and the others go on', 'patient',
    store('"patient-host-key"'), ''
  ],
  [
    'the rate is not limited', 'a subscription may make so many calls a minute, over all APIs',
    ...without('product', statement('product', 'rate-limit', 'calls'))
  ],
  [
    'the Patient API is outside of the product',
    'a subscription may make so many calls a minute, over all APIs', 'patient',
    '<base />\n    <set-backend-service', '<set-backend-service'
  ],
  [
    'the Echo API is outside of the product', 'a subscription may make so many calls a minute, over all APIs',
    'echo', '<inbound>\n    <base />', '<inbound>'
  ],
  [
    'there is no quota', 'and so many calls a day',
    ...without('product', statement('product', 'quota', 'calls'))
  ]
]

t.test('a changed policy breaks the contract', async (t) => {
  for (const [what, sentence, document, from, to] of mutations) {
    await t.test(`${what}: ${sentence}`, async (t) => {
      const dir = changed(t, document, from, to)
      await t.rejects(async () => sentences[sentence]!(t, dir), { name: 'AssertionError' })
    })
  }
})

t.test('a policy that a rotation of keys does not allow stops the start', async (t) => {
  const stored = store('"patient-host-key"')
  for (const seconds of ['300', '600', '86400']) {
    const dir = changed(t, 'patient', stored, stored.replace('{{host-key-cache-seconds}}', seconds))
    await t.rejects(start(t, dir), {
      name: 'PolicyError',
      message: /^patient\.xml:\d+: duration is \d+ s, and must be less than half of KEY_GRACE_SECONDS, 600 s$/
    })
  }
  await t.rejects(start(t, undefined, { KEY_GRACE_SECONDS: '120' }), {
    message: /duration is 60 s, and must be less than half of KEY_GRACE_SECONDS, 120 s/
  })
  await t.resolves(start(t, undefined, { KEY_GRACE_SECONDS: '121' }))
})

t.test('nor does one that gives a service less time than it may take', async (t) => {
  for (const document of ['patient', 'global']) {
    const dir = changed(t, document, 'timeout="60"', 'timeout="50"')
    await t.rejects(start(t, dir), {
      name: 'PolicyError', message: /timeout is 50 s, and a service may take 50 s/
    })
  }
})
