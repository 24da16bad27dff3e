import { test } from 'tap'
import { ada, observation, patient } from './app.ts'

test('a page of large test results ends at about 4 MiB, and Link goes on to all of them', async (t) => {
  const { call } = await patient(t)
  const { headers: { location } } = await call('POST', '/patient', ada)
  const large = { observations: [{ ...observation, measurement: 'x'.repeat(677_000) }] }
  for (let i = 0; i < 8; i++) t.equal((await call('POST', `${location}/tests`, large)).statusCode, 201)
  const found = new Set<string>()
  const sizes: number[] = []
  let next: string | undefined = `${location}/tests?limit=200&sort=lastUpdated`
  while (next) {
    const page: Awaited<ReturnType<typeof call>> = await call('GET', next)
    t.equal(page.statusCode, 200)
    for (const { id } of page.json()) found.add(id)
    sizes.push(page.json().length)
    next = /^<([^>]+)>/.exec(String(page.headers.link ?? ''))?.[1]
  }
  t.strictSame(sizes, [6, 2])
  t.equal(found.size, 8)
})
