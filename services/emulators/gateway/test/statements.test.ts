import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { PolicyResponse, type Context } from '../policy-engine/exchange.ts'
import { compileExpression } from '../policy-engine/expressions.ts'
import type { Type } from '../policy-engine/operands.ts'
import { startGateway } from './gateway.ts'
import { changed, documentOf } from './policies.ts'

const SERVICE = 'http://127.0.0.1:1'
const lineOf = (
  document: string, text: string
) => documentOf(document).slice(0, documentOf(document).indexOf(text)).split('\n').length

t.test('a start is refused by what the gateway does not know, named with its place', async (t) => {
  const retry = '<retry condition="@(context.Response.StatusCode == 401)" count="1"'
  const actor = '<value>@(context.Subscription.Id)</value>'
  const refused: Array<[document: string, from: string, to: string, problem: string]> = [
    [
      'global', '<set-header name="baggage" exists-action="delete" />', '<json-to-xml />',
      '<json-to-xml> is not supported here'
    ],
    [
      'global', '<set-header name="baggage" exists-action="delete" />', '<constructor />',
      '<constructor> is not supported here'
    ],
    [
      'global', 'name="baggage"', 'name="baggage" id="x"',
      '<set-header> has an attribute that is not supported: id'
    ],
    ['global', 'name="baggage" ', '', '<set-header> requires the attribute name'],
    ['global', '"baggage"', '"b aggage"', 'name must be the name of a header field'],
    [
      'global', '<set-header name="baggage" exists-action="delete" />',
      '<set-header name="baggage" exists-action="append"><value>x</value></set-header>',
      'exists-action must be override or delete'
    ],
    [
      'global', '<set-header name="baggage" exists-action="delete" />',
      '<set-header name="baggage" exists-action="delete">x</set-header>', '<set-header> must not contain text'
    ],
    [
      'global', '<set-query-parameter name="subscription-key" exists-action="delete" />',
      '<set-query-parameter name="subscription-key" exists-action="override" />',
      'exists-action must be delete'
    ],
    [
      'global', '<forward-request timeout="60" />',
      '<forward-request timeout="60" follow-redirects="true" />',
      '<forward-request> has an attribute that is not supported: follow-redirects'
    ],
    [
      'global', '<forward-request timeout="60" />', '<forward-request timeout="0" />',
      'timeout must be more than 0 seconds'
    ],
    [
      'global', '<forward-request timeout="60" />', '<forward-request timeout="@(60)" />',
      'timeout must be a number'
    ],
    [
      'global', '<forward-request timeout="60" />', '<base />',
      'the policy of all APIs must not contain <base>'
    ],
    ['global', '<outbound />', '<outbound>x</outbound>', '<outbound> must not contain text'],
    [
      'global', '<outbound />', '<outbound id="x" />', '<outbound> has an attribute that is not supported: id'
    ],
    [
      'global', '<outbound />', '<outbound><forward-request timeout="60" /></outbound>',
      '<forward-request> is not allowed in outbound'
    ],
    [
      'global', '<on-error />',
      '<on-error><set-header name="a" exists-action="override"><value>b</value></set-header></on-error>',
      '<set-header> is not allowed in on-error'
    ],
    [
      'global', '<set-header name="baggage" exists-action="delete" />',
      '<rate-limit calls="1" renewal-period="60" />', '<rate-limit> is not allowed in global.xml'
    ],
    [
      'global', '<cors allow-credentials="false"', '<cors allow-credentials="true"',
      'allow-credentials must be false'
    ],
    [
      'global', ' terminate-unmatched-request="false"', '',
      '<cors> requires the attribute terminate-unmatched-request'
    ],
    ['global', '<method>PUT</method>', '<verb>PUT</verb>', '<verb> is not supported here'],
    ['global', '<header>Link</header>', '<header><b /></header>', '<header> must contain text only'],
    [
      'product', '<rate-limit calls="{{calls-per-minute}}"', '<rate-limit calls="many"',
      'calls must be a number'
    ],
    [
      'product', '<rate-limit calls="{{calls-per-minute}}"', '<rate-limit calls="{{no-such-value}}"',
      'there is no named value no-such-value'
    ],
    [
      'echo', '<backend>\n    <base />', '<backend>\n    <base />\n<base />',
      'the backend section must contain one statement'
    ],
    [
      'patient', '<inbound>\n    <base />', '<inbound>\n    <base /><base />',
      'a section must not contain two <base>'
    ],
    [
      'patient', '<inbound>\n    <base />', '<inbound>\n    <base id="x" />',
      '<base> has an attribute that is not supported: id'
    ],
    [
      'patient', '<set-backend-service base-url="{{patient-backend-url}}" />',
      '<set-backend-service base-url="http://a/b" />', 'base-url must be an http or https URL without a path'
    ],
    [
      'patient', '<set-backend-service base-url="{{patient-backend-url}}" />', '',
      'the inbound section requires <set-backend-service>'
    ],
    ['patient', retry, retry.replace('"1"', '"51"'), 'count must be 1 to 50'],
    [
      'patient', retry, retry.replace('count', 'delta="1" count'),
      '<retry> has an attribute that is not supported: delta'
    ],
    [
      'patient', retry, retry.replace('@(context.Response.StatusCode == 401)', 'true'),
      'condition must be an expression'
    ],
    [
      'patient', "<when condition='@(context.Response.StatusCode == 401 || ",
      "<when id='x' condition='@(context.Response.StatusCode == 401 || ",
      '<when> has an attribute that is not supported: id'
    ],
    [
      'patient', '<forward-request timeout="60" buffer-request-body="true" buffer-response="false" />',
      '<forward-request timeout="60" buffer-request-body="yes" />',
      'buffer-request-body must be true or false'
    ],
    [
      'patient', '<forward-request timeout="60" buffer-request-body="true" buffer-response="false" />',
      '<forward-request timeout="60" /><forward-request timeout="60" />',
      'a document must not contain two <forward-request>'
    ],
    [
      'patient', '<forward-request timeout="60" buffer-request-body="true" buffer-response="false" />', '',
      'the backend section requires <forward-request>'
    ],
    ['patient', 'caching-type="internal"', 'caching-type="external"', 'caching-type must be internal'],
    ['patient', ' caching-type="internal"', '', '<cache-lookup-value> requires the attribute caching-type'],
    ['patient', 'mode="new"', 'mode="copy"', 'mode must be new'],
    ['patient', '<set-method>GET</set-method>', '<set-method>POST</set-method>', 'the method must be GET'],
    [
      'patient', '<set-method>GET</set-method>', '<set-method>GET</set-method><set-body>x</set-body>',
      '<set-body> is not supported here'
    ],
    [
      'patient', '<set-status code="503" reason="Service Unavailable" />',
      '<set-status code="99" reason="x" />', 'code must be a status from 200 to 599'
    ],
    [
      'patient', '<set-status code="503" reason="Service Unavailable" />', '',
      '<return-response> requires <set-status>, any <set-header> and <set-body>, in this order'
    ],
    [
      'patient', actor, '<value>@{ return context.Subscription.Id; }</value>',
      'the expression is not supported: @{ return context.Subscription.Id; }'
    ],
    [
      'patient', actor, '<value>id @(context.Subscription.Id)</value>',
      'the expression is not supported: id @(context.Subscription.Id)'
    ],
    [
      'patient', actor, '<value>@(context.Subscription.Name)</value>',
      'the expression is not supported: context.Subscription.Name'
    ],
    [
      'patient', actor, '<value>@(context.RequestId)</value>',
      'the expression is not supported: context.RequestId'
    ],
    [
      'patient', actor, '<value>@((string)context.Variables["none"])</value>',
      'no statement sets the variable none'
    ],
    ...['&amp;&amp;', '&&', '&gt;', '&#62;'].map((operator): [string, string, string, string] => [
      'patient', actor, `<value>@("a" ${operator} "b")</value>`,
      '& is not supported: write "a and b" as !(not a || not b)'
    ]),
    ['patient', actor, '<value></value>', '<value> is empty'],
    ['patient', actor, '<value>a</value><value>b</value>', '<value> is not supported here'],
    ['patient', actor, '', '<set-header> requires <value>']
  ]
  for (const [document, from, to, problem] of refused) {
    const error = await t.rejects(startGateway(t, SERVICE, {
      POLICIES_DIR: changed(t, document, from, to)
    }), { name: 'PolicyError' }, problem)
    const [, file, line, told] = /^(\w+\.xml):(\d+): ([^]*)$/.exec((error as unknown as Error).message) ?? []
    t.equal(told, problem)
    t.equal(file, `${document}.xml`)
    // What lacks something is named itself, and where that goes across lines it begins before them
    const at = lineOf(document, from)
    const whole = /requires <|two <base>|is empty/.test(problem)
    if (whole) t.ok(Number(line) <= at + 1, `${problem}: line ${line} of ${at}`)
    else t.ok(Number(line) >= at && Number(line) < at + to.split('\n').length, `${problem}: ${line} of ${at}`)
  }
})

t.test('a start is refused by a document that is none', async (t) => {
  for (const [from, to, problem] of [
    [
      '<outbound />', '',
      /^global\.xml:\d+: <policies> must contain inbound, backend, outbound, on-error, in this order, not inbound, /
    ],
    ['<outbound />', '<outbound>', /^global\.xml:\d+: invalid XML: /],
    ['<policies>', '<!DOCTYPE x><policies>', /^global\.xml:\d+: a document type is not supported$/],
    ['<inbound>', '<?x y?><inbound>', /^global\.xml:\d+: a processing instruction is not supported$/]
  ] as const) {
    await t.rejects(startGateway(t, SERVICE, { POLICIES_DIR: changed(t, 'global', from, to) }), {
      message: problem
    })
  }
  const dir = mkdtempSync(join(tmpdir(), 'policies-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  await t.rejects(startGateway(t, SERVICE, { POLICIES_DIR: dir }), {
    name: 'SettingsError', message: 'global.xml cannot be read (ENOENT)'
  })
})

const place = { file: 'a.xml', line: 3 }
const context: Context = {
  request: {
    id: '0198c1f2-7a3b-7000-8000-0f3f2f6a1c11',
    subscription: { id: 'client', product: 'client' },
    ip: '::ffff:192.0.2.1',
    method: 'GET',
    url: '/patient/search?limit=1',
    params: { patientId: 'a-patient' },
    headers: { host: 'gateway.example:8080' },
    socket: {} as never,
    routeOptions: { config: { api: 'patient', operation: 'search-patients' } } as never
  },
  headers: { 'x-on-behalf-of': 'dr-1' },
  response: { statusCode: 401, headers: { 'retry-after': '3' } },
  errorSection: 'backend',
  variables: new Map<string, unknown>([
    ['text', 'text'],
    ['object', { value: 'v', attributes: { nbf: 5 } }],
    ['answer', new PolicyResponse(200, '{"a":"b"}')],
    ['nothing', null],
    ['failed', new PolicyResponse(500, 'the-body')],
    ['number', 7]
  ])
}
const variables = new Set([...context.variables.keys(), 'unset'])
const evaluate = (source: string, type: Type) => compileExpression(place, source, type, variables)(context)

t.test('expressions mean what they mean in C#', async (t) => {
  const variable = (name: string) => `context.Variables["${name}"]`
  const expires = `((long?)((JObject)${variable('object')})["attributes"]["exp"] ?? long.MaxValue)`
  const values: Array<[string, Type, unknown]> = [
    ['context.Subscription.Id + "-" + context.Request.IpAddress', 'string', 'client-192.0.2.1'],
    ['context.Request.Method != "POST"', 'bool', true],
    ['context.Request.OriginalUrl.Path', 'string', '/patient/search'],
    ['context.Request.OriginalUrl.Host', 'string', 'gateway.example:8080'],
    ['context.Request.OriginalUrl.Scheme + "://\\"a\\""', 'string', 'http://"a"'],
    ['context.RequestId.ToString()', 'string', context.request.id],
    ['context.Response.StatusCode == 401', 'bool', true],
    ['context.Response.StatusCode != 401', 'bool', false],
    ['!(context.Response.StatusCode == 403 || context.Response.StatusCode != 401)', 'bool', true],
    ['context.Response.StatusCode == 403 || !("a" == "a")', 'bool', false],
    ['!(context.Response.StatusCode == 401) || "a" == "a"', 'bool', true],
    ['context.Response.Headers.GetValueOrDefault("Retry-After", "none")', 'string', '3'],
    ['context.Response.Headers.GetValueOrDefault("Server", "none")', 'string', 'none'],
    ['context.Request.Headers.GetValueOrDefault("X-On-Behalf-Of", "none")', 'string', 'dr-1'],
    ['context.Request.Headers.GetValueOrDefault("Retry-After", "none")', 'string', 'none'],
    ['System.Text.RegularExpressions.Regex.IsMatch("a" + "b", "^a.$")', 'bool', true],
    ['System.Text.RegularExpressions.Regex.IsMatch("ab", "^b")', 'bool', false],
    ['context.LastError.Section == "backend"', 'bool', true],
    [`(string)${variable('text')} == "text"`, 'bool', true],
    [`(string)${variable('nothing')} == ""`, 'bool', false],
    [`(string)${variable('nothing')} == (string)${variable('nothing')}`, 'bool', true],
    [`"a" + (string)${variable('nothing')} + "b"`, 'string', 'ab'],
    [`(string)((JObject)${variable('object')})["value"]`, 'string', 'v'],
    [`(string)((JObject)${variable('object')})["tags"]?["previous"]`, 'string', null],
    [`((long?)((JObject)${variable('object')})["attributes"]["nbf"] ?? 0) > 4`, 'bool', true],
    [`((long?)((JObject)${variable('object')})["attributes"]["nbf"] ?? 0) > 5`, 'bool', false],
    [`${expires} > DateTimeOffset.UtcNow.ToUnixTimeSeconds()`, 'bool', true],
    [`((IResponse)${variable('answer')})?.StatusCode == 200`, 'bool', true],
    [`((IResponse)${variable('nothing')})?.StatusCode == 200`, 'bool', false],
    [`(string)((IResponse)${variable('answer')}).Body.As<JObject>()["a"]`, 'string', 'b'],
    ['new JObject(new JProperty("a", 1), new JProperty("b", "c")).ToString()', 'string', '{"a":1,"b":"c"}']
  ]
  for (const [source, type, value] of values) t.strictSame(evaluate(source, type), value, source)
})

t.test('what would be an exception in C# is one', async (t) => {
  for (const source of [
    '(string)context.Variables["number"] == "7"',
    '(string)context.Variables["unset"] == ""',
    '(string)((JObject)context.Variables["text"])["a"] == ""',
    '(string)((JObject)context.Variables["nothing"])["a"] == ""',
    '(string)((JObject)context.Variables["object"])["tags"]["previous"] == ""',
    '((long?)((JObject)context.Variables["object"])["value"] ?? 0) > 1',
    '(string)((IResponse)context.Variables["nothing"]).Body.As<JObject>()["a"] == ""',
    '((IResponse)context.Variables["object"])?.StatusCode == 200',
    '(string)((IResponse)context.Variables["failed"]).Body.As<JObject>()["a"] == ""'
  ]) {
    const error = t.throws(() => evaluate(source, 'bool'), { name: 'ExpressionFailure' }, source) as Error
    t.notMatch(error.message, 'the-body')
  }
  t.throws(() => compileExpression(place, 'context.Response.StatusCode == 1', 'bool', variables)({
    ...context, response: undefined
  }), { name: 'ExpressionFailure' })
})

t.test('what the compiler of C# refuses is refused, and every form beyond those that are used', async (t) => {
  for (const source of [
    '', '"a', 'a', '"a" ==', '("a"', '"a"; "b"', 'context', 'context.Api.Id', 'context.Variables',
    'context.Variables[0]', 'context.Request.Headers', 'context.Response.Headers',
    'context.Response.Headers.GetValueOrDefault("Retry-After")', 'Guid.NewGuid().ToString()',
    'context.Variables["text"] == "text"', 'context.Response.StatusCode == "401"', '"a" > "b"', '"a" && "b"',
    '(int)context.Variables["text"]', '(JObject)"a"', '(string)1', '1 ?? 2', '"a" ?? "b"', '!"a"', '!',
    '"a" == "b" && "a" == "b"',
    '"a" == "b" ? "c" : "d"', '1 < 2', '1 >= 2', '"a" + 1', '$"a"', "'a'", 'null', '"\\n"',
    '"a \\"quoted\\" text"', '(string)context.Variables["text"] == null',
    '((IResponse)context.Variables["answer"]).StatusCode == 200', 'new JObject()',
    'new JObject(new JProperty("a", null))', '((IResponse)context.Variables["answer"]).Body.As<string>()',
    'context.Variables.ContainsKey("text")', 'context.Variables.GetValueOrDefault("text", "")'
  ]) {
    t.throws(() => evaluate(source, 'bool'), { name: 'PolicyError', message: /^a\.xml:3: / }, source)
  }
})
