import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import {
  dateOfBirth, inParallel, isProblem, newPatient, secret, startApi, testLogs, type Answer
} from './api.ts'

const api = await startApi()

const COUNT = process.env.FULL ? 10_000 : 300
const AT_ONCE = 16
/** Between the writes of a client, so that they slow no walk down. */
const PAUSE_MS = 20
const FIELDS = ['id', 'lastName', 'dateOfBirth', 'lastUpdated']
const SORTS = FIELDS.flatMap((field) => [field, `-${field}`])

const nextOf = ({ headers }: Answer) => /^<(\/[^>]+)>; rel="next"$/.exec(headers.link ?? '')?.[1]
const cursorOf = (answer: Answer) => new URL(nextOf(answer)!, 'http://x').searchParams.get('cursor')!

/** The patients of all pages. */
async function walk (criteria: object, query: string) {
  const found: any[] = []
  for (let path: string | undefined = `/patient/search?${query}`; path;) {
    const page: Answer = await api.call('POST', path, { body: criteria })
    if (page.status !== 200) throw new Error(page.text)
    found.push(...page.body)
    path = nextOf(page)
  }
  return found
}

const insuranceNumber = secret()
const common = secret()
const untouched = new Map<string, any>()
const toChange: string[] = []
const toDelete: string[] = []

test(`${COUNT} patients are stored, many with the same sort values`, async (t) => {
  await inParallel(COUNT, AT_ONCE, async (i) => {
    const lastName = [undefined, common, `${common}${i % 20}`, secret()][i % 4]
    const born = i % 2 ? '1980-01' : dateOfBirth()
    const { patient, path } = await api.create({ insuranceNumber, lastName, dateOfBirth: born })
    if (i % 10 === 0) toDelete.push(path)
    else if (i % 10 < 3) toChange.push(path)
    else untouched.set(patient.id, patient)
  })
  t.equal(untouched.size + toChange.length + toDelete.length, COUNT)
})

test('a walk during writes returns each unchanged patient exactly once, by every sort', async (t) => {
  const walking = new AbortController()
  const written = { inserted: 0, changed: 0, deleted: 0 }
  const changes = () => {
    const lastName = [null, common, `${common}${randomInt(20)}`, secret()][randomInt(4)]
    return { lastName, dateOfBirth: dateOfBirth() }
  }
  const writers = Array.from({ length: 3 }, async () => {
    for (; !walking.signal.aborted; await sleep(PAUSE_MS)) {
      const { lastName, ...rest } = changes()
      await api.create({ insuranceNumber, lastName: lastName ?? undefined, ...rest })
      written.inserted++
      const patched = await api.patch(toChange[randomInt(toChange.length)]!, changes())
      if (patched.status === 200) written.changed++
      if (written.deleted >= toDelete.length || written.inserted % 2 === 1) continue
      const deleted = await api.delete(toDelete[written.deleted]!)
      if (deleted.status === 204) written.deleted++
    }
  })

  for (const sort of SORTS) {
    const found = await walk({ insuranceNumber }, `limit=${50 + randomInt(100)}&sort=${sort}`)
    const kept = found.filter(({ id }) => untouched.has(id))
    t.equal(kept.length, untouched.size, sort)
    t.equal(new Set(kept.map(({ id }) => id)).size, untouched.size, sort)
    const isChanged = (patient: any) => JSON.stringify(patient) !== JSON.stringify(untouched.get(patient.id))
    t.strictSame(kept.find(isChanged), undefined, sort)

    const field = sort.replace('-', '')
    const key = (patient: any) => field === 'id' ? patient.id : `${patient[field] ?? ''}\0${patient.id}`
    const order = kept.map(key)
    if (sort.startsWith('-')) order.reverse()
    const firstWrong = order.findIndex((value, i) => i > 0 && order[i - 1]! >= value)
    t.equal(firstWrong, -1, `${sort} keeps its order over pages`)
    if (field !== 'id') continue
    t.equal(new Set(found.map(({ id }) => id)).size, found.length, 'by id, nothing at all comes twice')
  }
  walking.abort()
  await Promise.all(writers)
  t.match(written, { inserted: /^[1-9]/, changed: /^[1-9]/, deleted: /^[1-9]/ })
})

test('a walk without criteria finds all', async (t) => {
  const all = await walk({}, 'limit=200')
  t.equal(all.length, await api.patientDb.collection('patients').countDocuments({ _deleted: null }))
  t.equal(new Set(all.map(({ id }) => id)).size, all.length)
})

test('the next page is named by a Link that keeps limit and sort, and no key', async (t) => {
  const { subscriptionKey } = api.system
  const query = `limit=3&sort=-lastName&subscription-key=${subscriptionKey}`
  const body = { insuranceNumber }
  const headers = { 'ocp-apim-subscription-key': undefined }
  const page = await api.call('POST', `/patient/search?${query}`, { body, headers })
  t.equal(page.status, 200)
  t.notMatch(page.headers.link, subscriptionKey)
  const { pathname, searchParams } = new URL(nextOf(page)!, 'http://x')
  t.equal(pathname, '/patient/search')
  const cursor = searchParams.get('cursor')
  t.strictSame(Object.fromEntries(searchParams), { limit: '3', sort: '-lastName', cursor })
  const again = await api.call('POST', nextOf(page)!, { body })
  t.equal(again.body.length, 3)
  const seen = new Set(page.body.map(({ id }: { id: string }) => id))
  t.strictSame(again.body.filter(({ id }: { id: string }) => seen.has(id)), [])
  const larger = await api.call('POST', nextOf(page)!.replace('limit=3', 'limit=5'), { body })
  t.equal(larger.body.length, 5, 'the size of a page may change on the way')
})

test('a cursor holds nothing readable, and is another each time', async (t) => {
  for (const sort of SORTS) {
    const page = await api.search({ insuranceNumber }, `?limit=2&sort=${sort}`)
    const cursor = cursorOf(page)
    t.match(cursor, /^[\w-]+$/)
    const bytes = Buffer.from(cursor, 'base64url')
    const encodings = ['latin1', 'utf16le', 'hex'] as const
    const readings = [cursor, ...encodings.map((encoding) => bytes.toString(encoding))]
      .map((text) => text.toLowerCase())
    const last = page.body.at(-1)
    const values = [
      last.id, last.id.replaceAll('-', ''), last.lastName, last.dateOfBirth, last.lastUpdated,
      insuranceNumber, 'lastname', 'value'
    ].filter(Boolean)
    for (const value of values) {
      const hex = Buffer.from(value).toString('hex')
      t.notOk(readings.some((text) => text.includes(value.toLowerCase()) || text.includes(hex)), sort)
      t.notOk(cursor.includes(Buffer.from(value).toString('base64url').slice(0, -2)), sort)
    }
    t.not(cursorOf(await api.search({ insuranceNumber }, `?limit=2&sort=${sort}`)), cursor)
  }
})

const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

test('a cursor with any one character changed is a 400', async (t) => {
  const lastName = secret()
  for (let i = 0; i < 2; i++) await api.create({ lastName })
  const cursor = cursorOf(await api.search({ lastName }, '?limit=1&sort=lastName'))
  const forged: string[] = []
  for (let i = 0; i < cursor.length; i++) {
    const flipped = BASE64URL.replace(cursor[i]!, '')[randomInt(63)]
    forged.push(cursor.slice(0, i) + flipped + cursor.slice(i + 1))
  }
  // In base64url the last character may hold bits that mean nothing
  for (const last of 'AEIMQUYcgkosw048BCDFGHJKLNOPRSTVWXZ') {
    if (last !== cursor.at(-1)) forged.push(cursor.slice(0, -1) + last)
  }
  forged.push(
    cursor.slice(0, -1), cursor.slice(1), cursor.slice(0, 20), `${cursor}A`, `${cursor}=`, `${cursor}AAAA`,
    `A${cursor}`, cursor.toUpperCase(), 'A', 'AAAA', 'A'.repeat(40), 'A'.repeat(4_000), '%00', '%F0%9F%98%80',
    `${cursor}%20`
  )
  await inParallel(forged.length, 8, async (i) => {
    const answer = await api.search({ lastName }, `?limit=1&sort=lastName&cursor=${forged[i]}`)
    isProblem(t, answer, 400, 'INVALID_CURSOR')
  })
  t.equal((await api.search({ lastName }, `?limit=1&sort=lastName&cursor=${cursor}`)).status, 200)
})

test('a cursor of other criteria, another sort, subscription or path is a 400', async (t) => {
  const cursor = cursorOf(await api.search({ insuranceNumber }, '?limit=1&sort=lastName'))
  const isForeign = async (answer: Promise<Answer>) => isProblem(t, await answer, 400, 'INVALID_CURSOR')
  await isForeign(api.search({}, `?sort=lastName&cursor=${cursor}`))
  await isForeign(api.search({ insuranceNumber, gender: 'male' }, `?sort=lastName&cursor=${cursor}`))
  await isForeign(api.search({ insuranceNumber: secret() }, `?sort=lastName&cursor=${cursor}`))
  await isForeign(api.search({ fullName: insuranceNumber }, `?sort=lastName&cursor=${cursor}`))
  for (const sort of SORTS.filter((sort) => sort !== 'lastName')) {
    await isForeign(api.search({ insuranceNumber }, `?sort=${sort}&cursor=${cursor}`))
  }
  await isForeign(api.search({ insuranceNumber }, `?cursor=${cursor}`))
  await isForeign(api.search({ insuranceNumber }, `?sort=lastName&cursor=${cursor}`, api.asReader))
  const { path } = await api.create()
  await isForeign(api.get(`${path}/tests?cursor=${cursor}`))

  const readers = cursorOf(await api.search({ insuranceNumber }, '?limit=1&sort=lastName', api.asReader))
  const query = `?sort=lastName&cursor=${readers}`
  t.equal((await api.search({ insuranceNumber }, query, api.asReader)).status, 200)
  await isForeign(api.search({ insuranceNumber }, query))
})

test('a cursor outlives its patient and a restart of the service', async (t) => {
  const lastName = secret()
  for (let i = 0; i < 3; i++) await api.create({ lastName })
  const first = await api.search({ lastName }, '?limit=1&sort=-lastUpdated')
  await api.delete(`/patient/${first.body[0].id}`)
  await api.system.restarted('patient', api.system.kill('patient'))
  const second = await api.call('POST', nextOf(first)!, { body: { lastName } })
  t.equal(second.status, 200)
  t.equal(second.body.length, 1)
  t.not(second.body[0].id, first.body[0].id)
})

test('the test results of a patient page the same way', async (t) => {
  const { path } = await api.create()
  const other = await api.create()
  const stored: any[] = []
  await inParallel(25, 5, async () => { stored.push((await api.createTest(path)).result) })
  for (const sort of ['id', '-id', 'lastUpdated', '-lastUpdated']) {
    const found: any[] = []
    let pages = 0
    for (let next: string | undefined = `${path}/tests?limit=7&sort=${sort}`; next; pages++) {
      const page: Answer = await api.get(next)
      t.equal(page.status, 200)
      found.push(...page.body)
      next = nextOf(page)
    }
    t.equal(pages, 4)
    const field = sort.replace('-', '')
    const sorted = [...stored].sort((a, b) => `${a[field]}${a.id}` < `${b[field]}${b.id}` ? -1 : 1)
    t.strictSame(found, sort.startsWith('-') ? sorted.reverse() : sorted, sort)
  }
  const cursor = cursorOf(await api.get(`${path}/tests?limit=7`))
  isProblem(t, await api.get(`${other.path}/tests?cursor=${cursor}`), 400, 'INVALID_CURSOR')
  isProblem(t, await api.get(`${path}/tests?cursor=${cursor}`, api.asReader), 400, 'INVALID_CURSOR')
  isProblem(t, await api.get(`${path}/tests?sort=-id&cursor=${cursor}`), 400, 'INVALID_CURSOR')
  t.equal((await api.get(`/patient/${path.slice(9).toUpperCase()}/tests?cursor=${cursor}`)).body.length, 18)
  await inParallel(80, AT_ONCE, () => api.createTest(path))
  t.equal((await api.get(`${path}/tests`)).body.length, 100, 'a page has 100')
  t.equal((await api.get(`${path}/tests?limit=200`)).body.length, 105)
})

test('what is not changed in between is the same on every page', async (t) => {
  const large = await walk({ insuranceNumber }, 'limit=200')
  const small = await walk({ insuranceNumber }, 'limit=61')
  t.strictSame(large.map(({ id }) => id), small.map(({ id }) => id))
  isProblem(t, await api.search(newPatient(), '?limit=1'), 400)
})

testLogs(api)
