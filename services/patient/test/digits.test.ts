import { test } from 'tap'
import { ada, observation, patient } from './app.ts'

test('numbers keep the digits that they were sent with', async (t) => {
  const { app, call } = await patient(t)
  const { id } = (await call('POST', '/patient', ada)).json()
  const numbers = [
    '7.20', '7', '-0', '0.10', '1E2', '1.50e-3', '12345678901234567890.123456789', '7.2', '193.73241343664154'
  ]
  const { measurement, ...measured } = observation
  const sent = numbers.map((number, index) => {
    const text = JSON.stringify({ ...measured, id: String(index), value: { number: 0, unit: 'g' } })
    return text.replace('"number":0', `"number":${number}`)
  })
  const range = '[{"low":1.0,"high":{"number":2.00,"unit":"g"}}]'
  const value = '{"range":{"low":3.30}}'
  const panel = `{"id":"panel","code":"p","status":"final","value":${value},"referenceRange":${range}}`
  const payload = `{"observations":[${sent.join(',')},${panel}]}`
  const headers = { 'x-functions-key': 'patient-host-key-of-the-test', 'x-audit-actor': 'a-subscription' }
  const response = await app.inject({ method: 'POST', url: `/patient/${id}/tests`, payload, headers })
  t.equal(response.statusCode, 201, response.body)
  const { headers: { location } } = response
  const loaded = await call('GET', location as string)
  const list = await call('GET', `/patient/${id}/tests`)
  const patched = await call('PATCH', location as string, { performer: 'Laboratory 4' })
  for (const { body } of [response, loaded, list, patched]) {
    const found = [...body.matchAll(/"value":\{"number":([^,}]+)/g)].map(([, number]) => number)
    t.strictSame(found, numbers)
    t.match(body, '"low":1.0,"high":{"number":2.00,"unit":"g"}')
    t.match(body, '"range":{"low":3.30}')
    t.notMatch(body, '_digits')
  }

  const many = payload.replace('7.20', `7.${'2'.repeat(80)}`)
  const refused = await app.inject({ method: 'POST', url: `/patient/${id}/tests`, payload: many, headers })
  t.match(refused.json(), { status: 400, errors: [{ pointer: '#' }] })
  const own = { observations: [{ ...observation, value: { number: 1, _digits: { number: '2' } } }] }
  t.equal((await call('POST', `/patient/${id}/tests`, own)).statusCode, 400)
})

test('the same number with other digits is another body', async (t) => {
  const { app, call } = await patient(t)
  const { id } = (await call('POST', '/patient', ada)).json()
  const headers = {
    'x-functions-key': 'patient-host-key-of-the-test',
    'x-audit-actor': 'a-subscription',
    'idempotency-key': 'one'
  }
  const post = (number: string) => app.inject({
    method: 'POST',
    url: `/patient/${id}/tests`,
    headers,
    payload: `{"observations":[{"id":"1","code":"hb","status":"final","value":{"number":${number}}}]}`
  })
  t.equal((await post('7.2')).statusCode, 201)
  t.equal((await post('7.20')).statusCode, 409)
})
