import t from 'tap'
import { asClient, asReader, startGateway, startService, urlOf } from './gateway.ts'

t.test('a subscription past its rate gets when to try again, and no other one', async (t) => {
  const service = await startService(t)
  const { call } = await startGateway(t, urlOf(service), { RATE_LIMIT: '3' })
  for (const path of ['/patient/1', '/patient/2', '/patient/3/tests']) {
    const { statusCode, headers } = await call(path, { headers: asClient })
    t.equal(statusCode, 200)
    t.notHas(headers, 'x-ratelimit-limit')
  }
  const { statusCode, headers, json } = await call('/patient/4', { headers: asClient })
  t.equal(statusCode, 429)
  t.match(headers['retry-after'], /^[1-9]\d*$/)
  t.ok(Number(headers['retry-after']) <= 60)
  t.strictSame(json(), {
    statusCode: 429, message: `Rate limit is exceeded. Try again in ${headers['retry-after']} seconds.`
  })
  t.equal((await call('/patient/4', { headers: asReader })).statusCode, 200)
})

t.test('no rate is limited by default', async (t) => {
  const service = await startService(t)
  const { call } = await startGateway(t, urlOf(service))
  const answers = await Promise.all(Array.from({
    length: 200
  }, () => call('/echo/resource', { headers: asClient })))
  t.ok(answers.every(({ statusCode }) => statusCode === 200))
})
