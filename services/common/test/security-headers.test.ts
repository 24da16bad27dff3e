import { test } from 'tap'
import { service } from './service.ts'

test('every response has the security headers', async (t) => {
  const { app } = await service(t, (app) => {
    app.get('/there', async () => ({}))
    app.get('/broken', async () => {
      throw new Error()
    })
  })
  for (const [path, status] of [
    ['/there', 200],
    ['/there', 200],
    ['/nothing', 404],
    ['/broken', 500]
  ] as const) {
    const { statusCode, headers } = await app.inject(path)
    t.equal(statusCode, status)
    t.match(
      headers,
      {
        'cache-control': 'no-store',
        'content-security-policy': "default-src 'none';frame-ancestors 'none'",
        'strict-transport-security': /^max-age=\d{8}/,
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer',
        'cross-origin-resource-policy': 'same-origin'
      },
      path
    )
  }
})
