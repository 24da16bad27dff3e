import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { newObservation, startApi } from './api.ts'

const api = await startApi()
const COUNT = 24
const BYTES = 677 * 1_000
const MIB = 2 ** 20

const { path } = await api.create()
const ids: string[] = []

test('test results of 677 KB each are stored', async (t) => {
  for (let i = 0; i < COUNT; i += 6) {
    const observations = [{ ...newObservation(), measurement: 'x'.repeat(BYTES) }]
    const large = () => api.createTest(path, { observations })
    ids.push(...(await Promise.all(Array.from({ length: 6 }, large))).map(({ id }) => id))
  }
  t.equal(ids.length, COUNT)
})

test('a page of large test results ends at about 4 MiB, and Link goes on to all of them', async (t) => {
  const found: string[] = []
  let next: string | undefined = `${path}/tests?limit=200&sort=lastUpdated`
  while (next) {
    const page = await api.get(next)
    t.equal(page.status, 200)
    t.ok(page.text.length < 4.5 * MIB, `${page.text.length}`)
    t.ok(page.body.length > 0)
    const [record] = await api.recordsOf(page)
    t.strictSame(record!.disclosed!.map(({ id }) => id), page.body.map(({ id }: { id: string }) => id))
    for (const { id } of page.body) found.push(id)
    const link: string | undefined = page.headers.link
    next = /^<([^>]+)>/.exec(link ?? '')?.[1]
  }
  t.strictSame(found.sort(), ids.sort())
})

test('many such lists at once are answered, each within its bound', async (t) => {
  let isAnswered = false
  // A busy machine may answer none of so many in time
  for (let count = 24; count >= 1 && !isAnswered; count = Math.floor(count / 2)) {
    const answers = await Promise.all(Array.from({ length: count }, () => api.get(`${path}/tests?limit=200`)))
    for (const { status, text, body } of answers) {
      t.ok(status === 200 || (status === 503 && body.code !== 'AUDIT_UNAVAILABLE'), `${status}`)
      t.ok(text.length < 4.5 * MIB)
    }
    isAnswered = answers.some(({ status }) => status === 200)
  }
  t.ok(isAnswered)
})

test('a page has one test result at least, however large', async (t) => {
  const first = () => api.get(`${path}/tests?limit=1`)
  let one = await first()
  // The lists before may still be sent
  for (; one.status === 503; one = await first()) await sleep(100)
  t.equal(one.body.length, 1)
  t.match(one.headers.link, /rel="next"/)
})
