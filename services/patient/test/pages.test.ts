import { test } from 'tap'
import type { DataKeys } from '../data-key.ts'
import { Cursors } from '../routes/pages.ts'
import { ada, observation, patient } from './app.ts'

type App = Awaited<ReturnType<typeof patient>>

/** The pages from `url` on. */
async function pagesOf ({ call }: App, method: 'GET' | 'POST', url: string) {
  const pages: Array<Array<{ id: string }>> = []
  const body = method === 'POST' ? {} : undefined
  for (let next: string | undefined = url; next;) {
    const page: Awaited<ReturnType<typeof call>> = await call(method, next, body)
    if (page.statusCode !== 200) throw new Error(page.body)
    pages.push(page.json())
    next = /^<([^>]+)>/.exec(String(page.headers.link ?? ''))?.[1]
  }
  return pages
}

test('a page of large test results ends at about 4 MiB, and Link goes on to all of them', async (t) => {
  const app = await patient(t)
  const { headers: { location } } = await app.call('POST', '/patient', ada)
  const large = { observations: [{ ...observation, measurement: 'x'.repeat(677_000) }] }
  for (let i = 0; i < 8; i++) t.equal((await app.call('POST', `${location}/tests`, large)).statusCode, 201)
  const pages = await pagesOf(app, 'GET', `${location}/tests?limit=200&sort=lastUpdated`)
  t.strictSame(pages.map(({ length }) => length), [6, 2])
  t.equal(new Set(pages.flat().map(({ id }) => id)).size, 8)
})

test('each sort has its order over pages, by id among equals', async (t) => {
  const app = await patient(t)
  for (const lastName of ['Byron', 'King', 'King', 'King', 'Lovelace']) {
    await app.call('POST', '/patient', { ...ada, lastName })
  }
  for (const sort of ['id', 'lastName', 'dateOfBirth', 'lastUpdated']) {
    const [all] = await pagesOf(app, 'POST', `/patient/search?sort=${sort}`)
    for (const [order, expected] of [['', all!], ['-', all!.toReversed()]] as const) {
      const pages = await pagesOf(app, 'POST', `/patient/search?limit=2&sort=${order}${sort}`)
      t.strictSame(pages.map(({ length }) => length), [2, 2, 1], `${order}${sort}`)
      t.strictSame(pages.flat(), expected, `${order}${sort}`)
    }
  }
})

test('a cursor holds a position, in the context of one search', async (t) => {
  const contexts: string[] = []
  const keys = {
    seal: (text: string, context: string) => JSON.stringify({ text, context }),
    async open (sealed: string, context: string) {
      contexts.push(context)
      return JSON.parse(sealed).text
    }
  }
  const cursorsOf = (actor: string | undefined, path: string, sort: string, criteria?: object) => {
    return new Cursors(keys as unknown as DataKeys, actor, path, sort, criteria)
  }
  const value = new Date(0)
  const last = { _id: 'id', _shardKey: 'id', _audit: 'version', lastUpdated: value }
  const cursors = cursorsOf('one', '/a', 'lastUpdated', { gender: 'male' })
  const sealed = cursors.next(last)
  for (const [actor, path, sort, criteria] of [
    ['one', '/a', 'lastUpdated', { gender: 'male' }],
    ['two', '/a', 'lastUpdated', { gender: 'male' }],
    [undefined, '/a', 'lastUpdated', { gender: 'male' }],
    ['one', '/b', 'lastUpdated', { gender: 'male' }],
    ['one', '/a', '-lastUpdated', { gender: 'male' }],
    ['one', '/a', 'lastUpdated', { gender: 'female' }],
    ['one', '/a', 'lastUpdated', undefined]
  ] as const) {
    const position = await cursorsOf(actor, path, sort, criteria).position(sealed)
    t.strictSame(position, { value, id: 'id' })
  }
  t.equal(contexts[0], JSON.parse(sealed).context)
  t.equal(new Set(contexts).size, contexts.length, 'each search has another context')
})
