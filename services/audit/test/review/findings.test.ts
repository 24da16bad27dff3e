import { randomUUID } from 'node:crypto'
import { test } from 'tap'
import { mongo } from '../../../common/test/mongo.ts'
import { audit, hostKey, record } from '../app.ts'
import { asReviewer, emergency, findingsOf, reviewed, type Service } from './service.ts'

const patch = ({ app }: Service, id: string, payload: object, headers = {}) =>
  app.inject({
    method: 'PATCH', url: `/audit/findings/${id}`, payload, headers: { ...asReviewer, ...headers }
  })

/** What the register has of one operation. */
async function recordsOf ({ blocks }: Service, operation: string) {
  const records = (await blocks()).flatMap(({ records }) => records)
  return records.filter(({ resource }) => resource.operation === operation)
}

test('accesses lead to findings, one for a person, patient and day', async (t) => {
  const service = await audit(t)
  const [one, two] = [randomUUID(), randomUUID()]
  const first = (await service.post(emergency(one))).json()
  await service.post(emergency(two))
  await service.post(record({ actor: 'ward-7', disclosed: [{ id: one, version: 'v' }] }))
  await reviewed(service)
  const second = (await service.post(emergency(one))).json()
  await reviewed(service)
  const { body } = await service.get(`/audit/findings?patientId=${one}`)
  t.strictSame(JSON.parse(body), [{
    id: JSON.parse(body)[0].id,
    rule: 'break-the-glass',
    date: first.createdDate,
    actor: 'ward-7',
    onBehalfOf: 'nurse-1',
    patientId: one,
    records: [first.id, second.id],
    count: 2,
    state: 'new',
    history: []
  }])
  t.equal((await findingsOf(service)).length, 2)
  t.match(await recordsOf(service, 'list-findings'), [{
    resource: { type: 'audit-record', patientId: one }, actor: 'an-auditor', criteria: ['patientId']
  }])
})

test('findings are listed newest first, in pages, by every criterion', async (t) => {
  const service = await audit(t)
  for (let i = 0; i < 7; i++) await service.post(emergency(randomUUID(), { actor: `ward-${i % 2}` }))
  await reviewed(service)
  const ids: string[] = []
  for (let url: string | undefined = '/audit/findings?limit=3'; url;) {
    const { json, headers } = await service.get(url)
    ids.push(...json().map(({ id }: { id: string }) => id))
    url = /<(.*)>; rel="next"/.exec(headers.link as string)?.[1]
  }
  t.strictSame(ids, (await findingsOf(service)).map(({ _id }) => _id).reverse())
  const counts = {
    'actor=ward-0': 4,
    'actor=ward-2': 0,
    'state=new': 7,
    'state=closed': 0,
    'rule=break-the-glass&actor=ward-1': 3,
    'rule=many-patients': 0
  }
  for (const [query, count] of Object.entries(counts)) {
    t.equal((await service.get(`/audit/findings?${query}`)).json().length, count, query)
  }
  for (const query of ['state=open', 'rule=none', 'limit=0', 'patientId=x', 'cursor=x', 'other=1']) {
    t.equal((await service.get(`/audit/findings?${query}`)).statusCode, 400, query)
  }
})

test('a finding goes under review, is closed with a reason, and is reopened with one', async (t) => {
  const service = await audit(t)
  await service.post(emergency(randomUUID()))
  await reviewed(service)
  const id = (await findingsOf(service))[0]!._id
  const loaded = await service.get(`/audit/findings/${id}`)
  let etag = loaded.headers.etag as string
  t.equal((await service.get(`/audit/findings/${id}`, { 'if-none-match': etag })).statusCode, 304)
  const reason = 'It was a drill of the ward'
  const steps: Array<[object, number, string?]> = [
    [{ state: 'closed', reason }, 409, 'STATE_CHANGE_REFUSED'],
    [{ state: 'new' }, 409, 'STATE_CHANGE_REFUSED'],
    [{ state: 'under-review' }, 200],
    [{ state: 'under-review' }, 409, 'STATE_CHANGE_REFUSED'],
    [{ state: 'closed' }, 400, 'INVALID_REQUEST'],
    [{ state: 'closed', reason: 'with a\ttab in it' }, 400, 'INVALID_REQUEST'],
    [{ state: 'closed', reason: `${reason} ${'x'.repeat(500)}` }, 400, 'INVALID_REQUEST'],
    [{ state: 'closed', reason, count: 0 }, 400, 'INVALID_REQUEST'],
    [{ state: 'closed', reason }, 200],
    [{ state: 'under-review' }, 400, 'INVALID_REQUEST'],
    [{ state: 'under-review', reason: `${reason}?` }, 200]
  ]
  for (const [body, status, code] of steps) {
    const answer = await patch(service, id, body, { 'if-match': etag })
    t.equal(answer.statusCode, status, answer.body)
    if (code) t.match(answer.json(), { code })
    else etag = answer.headers.etag as string
  }
  const tooShort = await patch(service, id, { state: 'closed', reason: 'too short' }, { 'if-match': etag })
  t.equal(tooShort.statusCode, 400)
  t.match(tooShort.json().errors, [{ pointer: '#/reason', message: /fewer than 10 characters/ }])

  const { history } = (await service.get(`/audit/findings/${id}`)).json()
  const by = { by: 'an-auditor', onBehalfOf: 'reviewer-17' }
  t.match(history, [
    { state: 'under-review', ...by },
    { state: 'closed', reason, ...by },
    { state: 'under-review', reason: `${reason}?`, ...by }
  ])
  t.notOk('reason' in history[0])

  const records = await recordsOf(service, 'review-finding')
  const attempts = records.filter(({ attemptOf }) => !attemptOf)
  t.strictSame(history.map(({ auditId }: { auditId: string }) => auditId), attempts
    .filter(({ id }) => records.some(({ attemptOf, outcome }) => attemptOf === id && outcome === 'success'))
    .map(({ id }) => id))
  t.equal(records.filter(({ outcome }) => outcome === 'failure').length, 4)
  t.ok(records.every(({ actor, onBehalfOf, resource }) =>
    actor === 'an-auditor' && onBehalfOf === 'reviewer-17' && resource.id === id))
  t.notMatch(JSON.stringify(records), reason)
  t.notMatch(service.logs(), reason)
})

test('If-Match is required, and has to be the version that is there', async (t) => {
  const service = await audit(t)
  await service.post(emergency(randomUUID()))
  await reviewed(service)
  const id = (await findingsOf(service))[0]!._id
  const change = { state: 'under-review' }
  t.match((await patch(service, id, change)).json(), { status: 428, code: 'IF_MATCH_REQUIRED' })
  t.match((await patch(service, id, change, { 'if-match': '"7"' })).json(), {
    status: 412, code: 'FINDING_STALE'
  })
  t.match((await patch(service, id, change, { 'if-match': 'x' })).json(), { code: 'INVALID_PRECONDITION' })
  for (const other of [randomUUID(), 'x']) {
    t.match((await patch(service, other, change, { 'if-match': '*' })).json(), { code: 'FINDING_NOT_FOUND' })
  }
  t.equal((await service.get(`/audit/findings/${randomUUID()}`)).statusCode, 404)
  const both = await Promise.all([1, 2].map(() => patch(service, id, change, { 'if-match': '"1"' })))
  t.strictSame(both.map(({ statusCode }) => statusCode).sort(), [200, 412])
})

test('a closed finding is new again when the rule finds more records', async (t) => {
  const service = await audit(t)
  const patient = randomUUID()
  await service.post(emergency(patient))
  await reviewed(service)
  const id = (await findingsOf(service))[0]!._id
  await patch(service, id, { state: 'under-review' }, { 'if-match': '*' })
  await patch(service, id, { state: 'closed', reason: 'It was a drill' }, { 'if-match': '*' })
  await service.post(emergency(patient))
  await reviewed(service)
  t.match((await service.get(`/audit/findings/${id}`)).json(), {
    state: 'new', count: 2, history: [{}, { state: 'closed' }, { state: 'new', by: 'rules' }]
  })
})

test('each access to a watched patient is a finding, from then on until it ends', async (t) => {
  const service = await audit(t)
  const { app, get, post } = service
  const patient = randomUUID()
  const access = (more: object) =>
    post(emergency(patient, { purpose: undefined, reason: undefined, ...more }))
  const call = (method: 'PUT' | 'DELETE', id: string = patient, payload?: object) =>
    app.inject({ method, url: `/audit/watched-patients/${id}`, headers: asReviewer, payload })
  await access({ actor: 'before' })
  await reviewed(service)
  const put = await call('PUT')
  t.equal(put.statusCode, 200)
  t.match(put.json(), { patientId: patient, by: 'an-auditor', onBehalfOf: 'reviewer-17' })
  t.strictSame((await call('PUT', patient.toUpperCase(), {})).json(), put.json(), 'it may be repeated')
  t.strictSame((await get('/audit/watched-patients')).json(), [put.json()])
  await access({ actor: 'watched' })
  await reviewed(service)
  t.equal((await call('DELETE')).statusCode, 204)
  t.match((await call('DELETE')).json(), { status: 404, code: 'PATIENT_NOT_WATCHED' })
  t.equal((await call('PUT', 'not-an-id')).statusCode, 404)
  t.match((await call('PUT', patient, { reason: 'well known' })).json(), {
    status: 400, code: 'INVALID_REQUEST', errors: [{ pointer: '#', message: 'must not have properties' }]
  })
  await access({ actor: 'after' })
  await reviewed(service)
  t.match(await findingsOf(service), [
    { rule: 'watched-patient', actor: 'watched', patientId: patient, count: 1 }
  ])
  const records = await recordsOf(service, 'unwatch-patient')
  t.match(records.map(({ outcome }) => outcome), [undefined, 'success', undefined, 'failure'])
  t.equal((await recordsOf(service, 'watch-patient')).length, 4)
})

test('only the query key opens the review, and only these changes', async (t) => {
  const { app } = await audit(t)
  const changes = [
    ['PATCH', `/audit/findings/${randomUUID()}`],
    ['PUT', `/audit/watched-patients/${randomUUID()}`],
    ['DELETE', `/audit/watched-patients/${randomUUID()}`]
  ] as const
  for (const [method, url] of changes) {
    const call = (key: string) =>
      app.inject({ method, url, headers: { 'x-functions-key': key }, payload: {} })
    t.equal((await call(hostKey)).statusCode, 401, `${method} with the host key`)
    t.not((await call(asReviewer['x-functions-key'])).statusCode, 401)
  }
  for (const method of ['POST', 'PATCH', 'PUT', 'DELETE'] as const) {
    for (const url of ['/audit', '/audit/findings', '/audit/watched-patients', `/audit/${randomUUID()}`]) {
      const answer = await app.inject({ method, url, headers: asReviewer, payload: record() })
      t.equal(answer.statusCode, 401, `${method} ${url}`)
    }
  }
})

test('records from before the review are remembered, and lead to no findings', async (t) => {
  const database = await mongo(t)
  const before = await audit(t, database)
  const patient = randomUUID()
  await before.post(emergency(patient))
  await reviewed(before)
  await before.app.close()
  // As it was before there was a review
  for (const name of ['review', 'findings', 'counters', 'activities', 'contacts']) {
    await database.db.collection(name).deleteMany({})
  }
  const after = await audit(t, database)
  await reviewed(after)
  t.strictSame(await findingsOf(after), [])
  t.equal(await database.db.collection('contacts').countDocuments(), 1)
  const { id } = (await after.post(emergency(patient))).json()
  await reviewed(after)
  t.match(await findingsOf(after), [{ records: [id], count: 1 }])
})
