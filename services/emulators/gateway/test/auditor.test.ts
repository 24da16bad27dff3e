import { test } from 'tap'
import { asClient, startGateway, startService, urlOf } from './gateway.ts'

const AUDIT = 'http://127.0.0.1:9'

test('passes the auditor\'s page on without a key, and without what a client must not set', async (t) => {
  const url = urlOf(await startService(t))
  const gateway = await startGateway(t, AUDIT, { AUDITOR_URL: url })
  const forged = {
    'x-functions-key': 'a',
    'x-audit-actor': 'b',
    'x-forwarded-for': 'c',
    'x-audit-request-id': 'd',
    'ocp-apim-subscription-key': 'e',
    'x-real-ip': 'f',
    forwarded: 'g',
    baggage: 'h'
  }
  const sent = { cookie: 'auditor=1', 'sec-fetch-site': 'same-origin', 'content-type': 'text/plain' }
  for (const path of ['/auditor', '/auditor/', '/auditor/patients/1?days=30', '/auditor/style.css']) {
    const { statusCode, json } = await gateway.call(path, { headers: { ...forged, ...sent } })
    t.equal(statusCode, 200, path)
    const { method, url, headers } = json()
    t.strictSame([method, url], ['GET', path])
    t.match(headers, sent)
    for (const name of Object.keys(forged)) t.notOk(name in headers, name)
  }
  const posted = await gateway.call('/auditor/sign-in', { method: 'POST', body: 'key=1', headers: sent })
  t.match(posted.json(), { method: 'POST', body: 'key=1' })
  const log = await gateway.accessLog(5)
  t.match(log[2], { route: '/auditor/*', statusCode: 200, subscription: undefined })
})

test('has no other method, and no such page without its setting', async (t) => {
  const url = urlOf(await startService(t))
  const gateway = await startGateway(t, AUDIT, { AUDITOR_URL: url })
  for (const method of ['PUT', 'PATCH', 'DELETE'] as const) {
    t.equal((await gateway.call('/auditor/records', { method })).statusCode, 404, method)
  }
  t.equal((await gateway.call('/auditors')).statusCode, 404)
  const without = await startGateway(t, url)
  t.equal((await without.call('/auditor', { headers: asClient })).statusCode, 404)
})

test('answers 503 in words while the page is not there', async (t) => {
  const gateway = await startGateway(t, AUDIT, { AUDITOR_URL: 'http://127.0.0.1:9' })
  const { statusCode, headers, text } = await gateway.call('/auditor')
  t.equal(statusCode, 503)
  t.match(headers, { 'retry-after': '1', 'content-type': 'text/plain; charset=utf-8' })
  t.equal(text, 'The auditor\'s page is not available now. Try again in a minute.')
})
