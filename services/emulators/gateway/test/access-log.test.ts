import t from 'tap'
import {
  CLIENT_KEY, HOST_KEY, READER_KEY, SUBJECT, asClient, asSubject, startGateway, startService, urlOf
} from './gateway.ts'

t.test('each request is logged with route, status, time, trace and subscription, without data', async (t) => {
  const service = await startService(t)
  const { call, logs, accessLog } = await startGateway(t, urlOf(service), { LOG_LEVEL: 'trace' })
  const traceId = '0af7651916cd43dd8448eb211c80319c'
  await call(`/patient/the-id?lastName=the-name&subscription-key=${READER_KEY}`, {
    headers: { ...asClient, traceparent: `00-${traceId}-b7ad6b7169203331-01`, 'x-name': 'the-header' }
  })
  await call('/patient/the-id/the-path', { headers: asClient })
  await call('/patient', { method: 'POST', headers: asClient, body: 'the-body' })
  await call('/patient/the-id', {
    method: 'PUT', headers: { 'ocp-apim-subscription-key': 'the-key' }, body: 'the-body'
  })
  await call('/patient/the-id%zz', { headers: asClient })

  const [load, unknown, create, refused, unroutable] = await accessLog(5)
  t.match(load, {
    level: 'info',
    method: 'GET',
    route: '/patient/:patientId',
    statusCode: 200,
    ms: Number,
    trace_id: traceId,
    subscription: 'test-client',
    msg: 'request'
  })
  t.match(unknown, { method: 'GET', statusCode: 404, subscription: 'test-client' })
  t.match(create, { method: 'POST', route: '/patient', statusCode: 200 })
  t.match(refused, { method: 'PUT', route: '/patient/:patientId', statusCode: 401 })
  t.match(unroutable, { method: 'GET', statusCode: 404 })
  for (const secret of [
    'the-id', 'the-name', 'the-path', 'the-body', 'the-key', 'the-header', CLIENT_KEY, READER_KEY, HOST_KEY
  ]) {
    t.notMatch(logs.join(''), secret)
  }
})

t.test('the subscription of a subject is logged without the id of the patient', async (t) => {
  const AUDIT_URL = urlOf(await startService(t))
  const { call, logs, accessLog } = await startGateway(t, AUDIT_URL, { AUDIT_URL, LOG_LEVEL: 'trace' })
  t.equal((await call(`/patient/${SUBJECT}/access-log`, { headers: asSubject })).statusCode, 200)
  t.match(await accessLog(1), [{ route: '/patient/:patientId/access-log', subscription: 'subject-access' }])
  t.notMatch(logs.join(''), SUBJECT)
})

t.test('the entry of a failed call has the error\'s code', async (t) => {
  const { call, accessLog } = await startGateway(t, 'http://127.0.0.1:1')
  const { json } = await call('/patient/1', { headers: asClient })
  const [line] = await accessLog(1)
  t.match(line, {
    level: 'warn', statusCode: 503, requestId: json().activityId, err: { code: 'ECONNREFUSED' }
  })
})
