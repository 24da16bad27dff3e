import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { compileExpression, PolicyResponse, type Context, type Type } from '../policies/expressions.ts'
import { startGateway } from './gateway.ts'
import { changed, documentOf } from './policies.ts'

const SERVICE = 'http://127.0.0.1:1'
const lineOf = (document: string, text: string) => documentOf(document).slice(0, documentOf(document).indexOf(text)).split('\n').length

t.test('a start is refused by what the gateway does not know, named with its place', async (t) => {
  const retry = '<retry condition="@(context.Response.StatusCode == 401)" count="1"'
  const actor = '<value>@(context.Subscription.Id)</value>'
  const refused: Array<[document: string, from: string, to: string, problem: string]> = [
    ['global', '<set-header name="baggage" exists-action="delete" />', '<json-to-xml />', '<json-to-xml> is not known here'],
    ['global', '<set-header name="baggage" exists-action="delete" />', '<constructor />', '<constructor> is not known here'],
    ['global', 'name="baggage"', 'name="baggage" id="x"', '<set-header> has an attribute that is not known here: id'],
    ['global', 'name="baggage" ', '', '<set-header> lacks name'],
    ['global', '"baggage"', '"b aggage"', 'name must be that of a header field'],
    ['global', '<set-header name="baggage" exists-action="delete" />', '<set-header name="baggage" exists-action="append"><value>x</value></set-header>', 'exists-action must be override or delete here'],
    ['global', '<set-header name="baggage" exists-action="delete" />', '<set-header name="baggage" exists-action="delete">x</set-header>', 'exists-action must be override or delete here'],
    ['global', '<set-query-parameter name="subscription-key" exists-action="delete" />', '<set-query-parameter name="subscription-key" exists-action="override" />', 'exists-action must be delete here'],
    ['global', '<forward-request timeout="60" />', '<forward-request timeout="60" follow-redirects="true" />', '<forward-request> has an attribute that is not known here: follow-redirects'],
    ['global', '<forward-request timeout="60" />', '<forward-request timeout="0" />', 'timeout must be more than 0 seconds'],
    ['global', '<forward-request timeout="60" />', '<forward-request timeout="@(60)" />', 'timeout must be a number'],
    ['global', '<forward-request timeout="60" />', '<base />', 'there is nothing above the policy of all APIs'],
    ['global', '<outbound />', '<outbound>x</outbound>', '<outbound> holds text'],
    ['global', '<outbound />', '<outbound id="x" />', '<outbound> has an attribute that is not known: id'],
    ['global', '<outbound />', '<outbound><forward-request timeout="60" /></outbound>', '<forward-request> may not stand in outbound'],
    ['global', '<on-error />', '<on-error><set-header name="a" exists-action="override"><value>b</value></set-header></on-error>', '<set-header> may not stand in on-error'],
    ['global', '<set-header name="baggage" exists-action="delete" />', '<rate-limit calls="1" renewal-period="60" />', '<rate-limit> may not stand in global.xml'],
    ['global', '<cors allow-credentials="false"', '<cors allow-credentials="true"', 'allow-credentials must be false here'],
    ['global', ' terminate-unmatched-request="false"', '', '<cors> lacks terminate-unmatched-request'],
    ['global', '<method>PUT</method>', '<verb>PUT</verb>', '<verb> is not known here'],
    ['global', '<header>Link</header>', '<header><b /></header>', '<header> must be a text'],
    ['product', '<rate-limit calls="{{calls-per-minute}}"', '<rate-limit calls="many"', 'calls must be a number'],
    ['product', '<rate-limit calls="{{calls-per-minute}}"', '<rate-limit calls="{{no-such-value}}"', 'the named value no-such-value is not known'],
    ['echo', '<backend>\n    <base />', '<backend>\n    <base />\n<base />', 'the backend section holds one statement'],
    ['patient', '<inbound>\n    <base />', '<inbound>\n    <base /><base />', '<base> stands twice in a section'],
    ['patient', '<inbound>\n    <base />', '<inbound>\n    <base id="x" />', '<base> has an attribute that is not known here: id'],
    ['patient', '<set-backend-service base-url="{{patient-backend-url}}" />', '<set-backend-service base-url="http://a/b" />', 'base-url must be an http or https URL without a path'],
    ['patient', '<set-backend-service base-url="{{patient-backend-url}}" />', '', 'no <set-backend-service> says where the service is'],
    ['patient', retry, retry.replace('"1"', '"51"'), 'count must be 1 to 50'],
    ['patient', retry, retry.replace('count', 'delta="1" count'), '<retry> has an attribute that is not known here: delta'],
    ['patient', retry, retry.replace('@(context.Response.StatusCode == 401)', 'true'), 'condition must be an expression'],
    ['patient', "<when condition='@(context.Response.StatusCode == 401 || ", "<when id='x' condition='@(context.Response.StatusCode == 401 || ", '<when> has an attribute that is not known here: id'],
    ['patient', '<forward-request timeout="60" buffer-request-body="true" />', '<forward-request timeout="60" buffer-request-body="yes" />', 'buffer-request-body must be true or false'],
    ['patient', '<forward-request timeout="60" buffer-request-body="true" />', '<forward-request timeout="60" /><forward-request timeout="60" />', '<forward-request> stands twice in a document'],
    ['patient', '<forward-request timeout="60" buffer-request-body="true" />', '', 'the backend section forwards nothing'],
    ['patient', 'caching-type="internal"', 'caching-type="external"', 'caching-type must be internal'],
    ['patient', ' caching-type="internal"', '', '<cache-lookup-value> lacks caching-type'],
    ['patient', 'mode="new"', 'mode="copy"', 'mode must be new here'],
    ['patient', '<set-method>GET</set-method>', '<set-method>POST</set-method>', 'the method must be GET here'],
    ['patient', '<set-method>GET</set-method>', '<set-method>GET</set-method><set-body>x</set-body>', '<set-body> is not known here'],
    ['patient', '<set-status code="503" reason="Service Unavailable" />', '<set-status code="99" reason="x" />', 'code must be a status'],
    ['patient', '<set-status code="503" reason="Service Unavailable" />', '', '<return-response> must hold <set-status>, <set-header>s and <set-body>, in this order'],
    ['patient', actor, '<value>@{ return context.Subscription.Id; }</value>', 'the form of the expression is not known: @{ return context.Subscription.Id; }'],
    ['patient', actor, '<value>id @(context.Subscription.Id)</value>', 'the form of the expression is not known: id @(context.Subscription.Id)'],
    ['patient', actor, '<value>@(context.Subscription.Name)</value>', 'the form of the expression is not known: context.Subscription.Name'],
    ['patient', actor, '<value>@(context.RequestId)</value>', 'the expression is a Guid where a string is wanted: context.RequestId'],
    ['patient', actor, '<value>@((string)context.Variables["none"])</value>', 'no statement sets the variable none'],
    ['patient', actor, '<value></value>', '<value> is empty'],
    ['patient', actor, '<value>a</value><value>b</value>', '<value> is not known here'],
    ['patient', actor, '', '<set-header> lacks <value>']
  ]
  for (const [document, from, to, problem] of refused) {
    const error = await t.rejects(startGateway(t, SERVICE, { POLICIES_DIR: changed(t, document, from, to) }), { name: 'PolicyError' }, problem)
    const [, file, line, told] = /^(\w+\.xml):(\d+): ([^]*)$/.exec((error as unknown as Error).message) ?? []
    t.equal(told, problem)
    t.equal(file, `${document}.xml`)
    // What lacks something is named itself, and where that goes across lines it begins before them
    const at = lineOf(document, from)
    const whole = /lacks <|forwards nothing|says where|must hold|twice in a section|is empty/.test(problem)
    if (whole) t.ok(Number(line) <= at + 1, `${problem}: line ${line} of ${at}`)
    else t.ok(Number(line) >= at && Number(line) < at + to.split('\n').length, `${problem}: line ${line} of ${at}`)
  }
})

t.test('a start is refused by a document that is none', async (t) => {
  for (const [from, to, problem] of [
    ['<outbound />', '', /^global\.xml:\d+: <policies> must hold inbound, backend, outbound, on-error, in this order, not inbound, backend, on-error$/],
    ['<outbound />', '<outbound>', /^global\.xml:\d+: is not XML: /],
    ['<policies>', '<!DOCTYPE x><policies>', /^global\.xml:\d+: a document type$/],
    ['<inbound>', '<?x y?><inbound>', /^global\.xml:\d+: a processing instruction$/]
  ] as const) {
    await t.rejects(startGateway(t, SERVICE, { POLICIES_DIR: changed(t, 'global', from, to) }), { message: problem })
  }
  const dir = mkdtempSync(join(tmpdir(), 'policies-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  await t.rejects(startGateway(t, SERVICE, { POLICIES_DIR: dir }), { name: 'SettingsError', message: 'global.xml cannot be read (ENOENT)' })
})

const place = { file: 'a.xml', line: 3 }
const context: Context = {
  requestId: '0198c1f2-7a3b-7000-8000-0f3f2f6a1c11',
  subscriptionId: 'client',
  clientAddress: '192.0.2.1',
  requestMethod: 'GET',
  requestPath: '/patient/search',
  responseStatus: 401,
  responseField: (name) => name === 'retry-after' ? '3' : undefined,
  errorSection: 'backend',
  variables: ['text', { value: 'v', attributes: { nbf: 5 } }, new PolicyResponse(200, '{"a":"b"}'), null, new PolicyResponse(500, 'the-body'), 7]
}
const slots = ['text', 'object', 'answer', 'nothing', 'failed', 'number', 'unset']
const slotOf = (name: string) => slots.includes(name) ? slots.indexOf(name) : undefined
const evaluate = (source: string, type: Type) => compileExpression(place, source, type, slotOf)(context)

t.test('expressions mean what they mean in C#', async (t) => {
  const variable = (name: string) => `context.Variables["${name}"]`
  const values: Array<[string, Type, unknown]> = [
    ['"a \\"quoted\\" \\\\ text"', 'string', 'a "quoted" \\ text'],
    ['context.Subscription.Id + "-" + context.Request.IpAddress', 'string', 'client-192.0.2.1'],
    ['context.Request.Method != "POST"', 'bool', true],
    ['context.Request.OriginalUrl.Path', 'string', '/patient/search'],
    ['context.RequestId.ToString()', 'string', context.requestId],
    ['context.Response.StatusCode == 401', 'bool', true],
    ['context.Response.StatusCode != 401', 'bool', false],
    ['context.Response.StatusCode == 403 || context.Response.StatusCode == 401 && "a" == "b"', 'bool', false],
    ['(context.Response.StatusCode == 401 || "a" == "a") && "a" == "b"', 'bool', false],
    ['context.Response.Headers.GetValueOrDefault("Retry-After", "none")', 'string', '3'],
    ['context.Response.Headers.GetValueOrDefault("Server", "none")', 'string', 'none'],
    ['context.LastError.Section == "backend"', 'bool', true],
    [`(string)${variable('text')} == "text"`, 'bool', true],
    [`(string)${variable('nothing')} == ""`, 'bool', false],
    [`(string)${variable('nothing')} == null`, 'bool', true],
    [`"a" + (string)${variable('nothing')} + "b"`, 'string', 'ab'],
    [`(string)((JObject)${variable('object')})["value"]`, 'string', 'v'],
    [`(string)((JObject)${variable('object')})["tags"]?["previous"]`, 'string', null],
    [`((long?)((JObject)${variable('object')})["attributes"]["nbf"] ?? 0) > 4`, 'bool', true],
    [`((long?)((JObject)${variable('object')})["attributes"]["nbf"] ?? 0) > 5`, 'bool', false],
    [`((long?)((JObject)${variable('object')})["attributes"]["exp"] ?? long.MaxValue) > DateTimeOffset.UtcNow.ToUnixTimeSeconds()`, 'bool', true],
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
    '((IResponse)context.Variables["nothing"]).StatusCode == 200',
    '((IResponse)context.Variables["object"])?.StatusCode == 200',
    '(string)((IResponse)context.Variables["failed"]).Body.As<JObject>()["a"] == ""'
  ]) {
    const error = t.throws(() => evaluate(source, 'bool'), { name: 'ExpressionFailure' }, source) as Error
    t.notMatch(error.message, 'the-body')
  }
  t.throws(() => compileExpression(place, 'context.Response.StatusCode == 1', 'bool', slotOf)({ ...context, responseStatus: undefined }), { name: 'ExpressionFailure' })
})

t.test('what the compiler of C# refuses is refused, and every form beyond those that are used', async (t) => {
  for (const source of [
    '', '"a', 'a', '"a" ==', '("a"', '"a"; "b"', 'context', 'context.Api.Id', 'context.Variables', 'context.Variables[0]', 'context.Request.Headers', 'context.Response.Headers', 'context.Response.Headers.GetValueOrDefault("Retry-After")', 'Guid.NewGuid().ToString()',
    'context.Variables["text"] == "text"', 'context.Response.StatusCode == "401"', '"a" > "b"', '"a" && "b"', '(int)context.Variables["text"]', '(JObject)"a"', '(string)1',
    '1 ?? 2', '"a" ?? "b"', '!("a" == "b")', '"a" == "b" ? "c" : "d"', '1 < 2', '1 >= 2', '"a" + 1', '$"a"', "'a'", 'null', '"\\n"', 'new JObject()', 'new JObject(new JProperty("a", null))',
    '((IResponse)context.Variables["answer"]).Body.As<string>()', 'context.Variables.ContainsKey("text")', 'context.Variables.GetValueOrDefault("text", "")'
  ]) {
    t.throws(() => evaluate(source, 'bool'), { name: 'PolicyError', message: /^a\.xml:3: / }, source)
  }
})
