import t from 'tap'
import { asClient, startGateway, startService, urlOf } from './gateway.ts'

const ORIGIN = 'https://wards.example'
const service = await startService(t)
const preflight = (origin: string, method = 'PUT', headers = 'if-match, Ocp-Apim-Subscription-Key') => ({
  method: 'OPTIONS',
  headers: { origin, 'access-control-request-method': method, 'access-control-request-headers': headers }
} as const)

t.test('without allowed origins a preflight request is refused as any other call', async (t) => {
  const { call } = await startGateway(t, urlOf(service))
  const { statusCode, headers } = await call('/patient/1', preflight(ORIGIN))
  t.equal(statusCode, 401)
  t.notHas(headers, 'access-control-allow-origin')
  const answered = await call('/patient/1', { headers: { ...asClient, origin: ORIGIN } })
  t.equal(answered.statusCode, 200)
  t.notHas(answered.headers, 'access-control-allow-origin')
})

t.test('with allowed origins', async (t) => {
  const settings = { CORS_ORIGINS: `https://other.example,${ORIGIN}` }
  const { call } = await startGateway(t, urlOf(service), settings)

  t.test('the gateway answers their preflight requests, without a key', async (t) => {
    for (const path of ['/patient/1', '/patient', '/echo/resource', '/patient/search']) {
      const { statusCode, headers, text } = await call(path, preflight(ORIGIN))
      t.equal(statusCode, 200)
      t.equal(text, '')
      t.match(headers, {
        'access-control-allow-origin': ORIGIN,
        'access-control-allow-methods': 'GET,POST,PUT,PATCH,DELETE',
        'access-control-allow-headers': /Idempotency-Key,If-Match,.*Ocp-Apim-Subscription-Key/,
        'access-control-max-age': '600',
        vary: 'Origin'
      })
    }
  })

  t.test('their pages see the responses of service and gateway, and the exposed headers', async (t) => {
    const exposed = {
      'access-control-allow-origin': ORIGIN,
      'access-control-expose-headers': /^Content-Location,ETag,Link,Location,Preference-Applied,Retry-After,Total-Count,WWW-Authenticate$/,
      vary: 'Origin'
    }
    const headers = { ...asClient, origin: ORIGIN }
    for (const [path, status] of [
      ['/patient/1', 200], ['/echo/resource', 200], ['/patient/1/none', 404]
    ] as const) {
      const answered = await call(path, { headers })
      t.equal(answered.statusCode, status)
      t.match(answered.headers, exposed)
      t.notHas(answered.headers, 'access-control-allow-credentials')
    }
    const refused = await call('/patient/1', { headers: { origin: ORIGIN } })
    t.equal(refused.statusCode, 401)
    t.match(refused.headers, exposed)
  })

  t.test('other origins, methods and headers are not allowed', async (t) => {
    const asked = [
      preflight('https://wards.example.org'), preflight('null'), preflight(ORIGIN, 'TRACE'),
      preflight(ORIGIN, 'PUT', 'x-functions-key')
    ]
    for (const request of asked) {
      const { statusCode, headers } = await call('/patient/1', request)
      t.equal(statusCode, 200)
      t.notHas(headers, 'access-control-allow-origin')
    }
    const other = { ...asClient, origin: 'https://evil.example' }
    const { statusCode, headers } = await call('/patient/1', { headers: other })
    t.equal(statusCode, 200)
    t.notHas(headers, 'access-control-allow-origin')
  })

  t.test('an OPTIONS that is no preflight request needs a key', async (t) => {
    t.equal((await call('/patient/1', { method: 'OPTIONS', headers: { origin: ORIGIN } })).statusCode, 401)
  })
})

t.test('origins that are none stop the start', async (t) => {
  for (const CORS_ORIGINS of [
    '*', 'wards.example', 'https://a.example/', 'https://a.example;https://b.example'
  ]) {
    const error = { name: 'SettingsError', message: /CORS_ORIGINS/ }
    await t.rejects(startGateway(t, urlOf(service), { CORS_ORIGINS }), error)
  }
})
