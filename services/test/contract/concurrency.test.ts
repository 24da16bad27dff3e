import { test } from 'tap'
import { isProblem, newPatient, newTest, secret, startApi, testLogs, unknownId } from './api.ts'

const api = await startApi()

const ROUNDS = process.env.FULL ? 1_000 : 40

test(`of two writers with one ETag exactly one gets 200 and the other 412, ${ROUNDS} times`, async (t) => {
  const outcomes: string[] = []
  const races = Array.from({ length: 4 }, async () => {
    let { path, etag } = await api.create()
    for (let round = 0; round < ROUNDS / 4; round++) {
      const bodies = [newPatient(), newPatient()]
      const answers = await Promise.all(bodies.map((body, i) => round % 2 || i
        ? api.put(path, body, { 'if-match': etag })
        : api.patch(path, body, { 'if-match': etag })))
      outcomes.push(answers.map(({ status }) => status).sort().join())
      const winner = answers.findIndex(({ status }) => status === 200)
      if (winner === -1) break
      isProblem(t, answers[1 - winner]!, 412, 'PATIENT_STALE')
      const { body, headers } = await api.get(path)
      t.match(body, bodies[winner])
      t.equal(headers.etag, answers[winner]!.headers.etag)
      etag = headers.etag!
    }
  })
  await Promise.all(races)
  t.equal(outcomes.length, ROUNDS)
  t.strictSame([...new Set(outcomes)], ['200,412'])
})

test('of a change and a deletion with one ETag exactly one happens', async (t) => {
  for (let round = 0; round < 20; round++) {
    const { path, etag } = await api.create()
    const [change, deletion] = await Promise.all([
      api.patch(path, { lastName: secret() }, { 'if-match': etag }),
      api.delete(path, { 'if-match': etag })
    ])
    t.ok([200, 404, 412].includes(change.status), `${change.status}`)
    t.ok([204, 412].includes(deletion.status), `${deletion.status}`)
    t.equal([change, deletion].filter(({ status }) => status < 300).length, 1)
    t.equal((await api.get(path)).status, change.status === 200 ? 200 : 404)
  }
})

test('a test result is changed by one of two writers with one ETag', async (t) => {
  const patient = await api.create()
  let { path, etag } = await api.createTest(patient.path)
  for (let round = 0; round < 20; round++) {
    const condition = { 'if-match': etag }
    const answers = await Promise.all([
      api.put(path, newTest(), condition),
      api.patch(path, { performer: secret() }, condition)
    ])
    t.strictSame(answers.map(({ status }) => status).sort(), [200, 412])
    etag = answers.find(({ status }) => status === 200)!.headers.etag!
  }
})

test('writes at once without If-Match lose no change: each PATCH keeps what others changed', async (t) => {
  const names = ['firstName', 'lastName', 'fullName', 'insuranceNumber', 'preferredContactNumber']
  for (let round = 0; round < 10; round++) {
    const { path, patient } = await api.create()
    const patches = names.map((name) => ({ [name]: secret() }))
    const answers = await Promise.all(patches.map((patch) => api.patch(path, patch)))
    t.strictSame(answers.map(({ status }) => status), patches.map(() => 200))
    const { lastUpdated, ...rest } = (await api.get(path)).body
    const { lastUpdated: before, ...expected } = Object.assign({}, patient, ...patches)
    t.strictSame(rest, expected)
  }
})

test('every write makes another ETag, even one that changes nothing', async (t) => {
  const { path, patient, etag } = await api.create()
  const tags = new Set([etag])
  for (let i = 0; i < 5; i++) {
    tags.add((await api.put(path, patient)).headers.etag!)
    tags.add((await api.patch(path, {})).headers.etag!)
  }
  t.equal(tags.size, 11)
  for (const tag of tags) t.match(tag, /^"[\x21\x23-\x7e]+"$/)
})

test('If-Match compares strongly, takes lists and *, and refuses what it does not name', async (t) => {
  const { path, patient, etag } = await api.create()
  const write = (tags: string) => Promise.all([
    api.put(path, newPatient(), { 'if-match': tags }),
    api.patch(path, { lastName: secret() }, { 'if-match': tags }),
    api.delete(path, { 'if-match': tags })
  ])
  for (const stale of ['"other"', `${etag.slice(0, -2)}"`, '"a", "b"']) {
    for (const answer of await write(stale)) isProblem(t, answer, 412, 'PATIENT_STALE')
  }
  for (const malformed of [`W/${etag}`, `"a", "b",W/${etag}`, etag.slice(1, -1)]) {
    for (const answer of await write(malformed)) isProblem(t, answer, 400, 'INVALID_PRECONDITION')
  }
  t.strictSame((await api.get(path)).body, patient)
  t.equal((await api.put(path, newPatient(), { 'if-match': '*' })).status, 200)
  const { headers } = await api.patch(path, {}, { 'if-match': '*' })
  t.equal((await api.put(path, newPatient(), { 'if-match': `"a" , ${headers.etag},"b"` })).status, 200)
  t.equal((await api.delete(path, { 'if-match': '*' })).status, 204)
  for (const tag of ['*', etag]) {
    isProblem(t, await api.put(`/patient/${unknownId()}`, newPatient(), { 'if-match': tag }), 404)
  }
})

test('a body that breaks a rule is a 400 whatever If-Match says', async (t) => {
  const { path } = await api.create()
  isProblem(t, await api.put(path, {}, { 'if-match': '"other"' }), 400)
  isProblem(t, await api.patch(path, { gender: 'm' }, { 'if-match': '"other"' }), 400)
})

test('64 clients that create at once share the register\'s inserts, and leave no gap in seq', async (t) => {
  const before = new Set((await api.blocks()).map(({ _id }) => _id))
  await Promise.all(Array.from({ length: 64 }, async () => {
    for (let i = 0; i < 5; i++) await api.create()
  }))
  const blocks = await api.blocks()
  const later = blocks.filter(({ _id }) => !before.has(_id))
  const records = later.reduce((sum, { records }) => sum + records.length, 0)
  t.equal(records, 320)
  t.ok(later.length <= 0.25 * records, `${later.length} inserts for ${records} records`)
  const next = new Map<string, number>()
  for (const { _id, _shardKey, chain, firstSeq, records } of blocks) {
    t.equal(_id, `${chain}:${firstSeq}`)
    t.equal(_shardKey, chain)
    t.equal(firstSeq, next.get(chain) ?? 1)
    t.ok(records.length >= 1 && records.length <= 100)
    t.strictSame(records.map(({ seq }) => seq), records.map((_, i) => firstSeq + i))
    next.set(chain, firstSeq + records.length)
  }
})

testLogs(api)
