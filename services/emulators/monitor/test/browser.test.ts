import type { BrowserContextOptions } from 'playwright-core'
import t from 'tap'
import { barriers, overflow, startBrowser, views, type View } from '../../../common/pages/test/browser.ts'
import { mongo } from '../../../common/test/mongo.ts'
import { createPatient, dependency, failedCreate, message, newId, request } from './envelopes.ts'
import type { ItemOptions } from './envelopes.ts'
import { startMonitor } from './monitor.ts'

// As .taprc has it, for a run without it: tap's own 30 s are short on a busy machine
t.setTimeout(600_000)

const browser = await startBrowser(t, 'monitor')
const { connection, db } = await mongo(t)
const monitor = await startMonitor(t, {
  AUDIT_DB_VIEWER_CONNECTION: connection,
  DATABASE_NAME: db.databaseName
})

const created = newId()
const failed = newId()
const now = Date.now()

// Older and newer ones around the two that are looked at, some of them of routes with long names
const others = [
  'GET /patient/:patientId',
  'PUT /patient/:patientId',
  'POST /patient/search',
  'GET /patient/:patientId/tests/:testId',
  'POST /patient/:patientId/tests'
].flatMap((name, i) =>
  Array.from({ length: 8 }, (_, j) => {
    const operationId = newId()
    const [gateway, call] = [newId(16), newId(16)]
    const of = (role: string, at: number, ms: number, more: ItemOptions = {}): ItemOptions => ({
      role,
      operationId,
      time: now - 90_000 + i * 700 + j * 9_000 + at,
      ms,
      ...more
    })
    const took = 4 + ((i * 7 + j * 13) % 23)
    const code = j === 5 && i === 0 ? { success: false, code: '404' } : {}
    return [
      request(name, of('gateway', 0, took + 1.52, { id: gateway, ...code })),
      dependency(
        name,
        'Http',
        'patient',
        of('gateway', 1, took + 0.71, { id: call, parentId: gateway, ...code })
      ),
      request(name, of('patient', 1, took, { parentId: call, ...code })),
      request('POST /audit', of('audit', 2, took / 3))
    ]
  }).flat()
)
await monitor.track([
  ...createPatient(created, now - 4_000),
  ...failedCreate(failed, now - 62_000),
  ...others
])
await monitor.track([dependency('GET /secrets/patient-host-key', 'Http', 'vault', { time: now - 1_000 })])
const patientId = '5b8f9dd2-9a3a-4a4e-8f2e-5d1a6b1f6c01'
await db.collection<{ _id: string }>('blocks').insertOne({
  _id: 'chain:1',
  _shardKey: 'chain',
  chain: 'chain',
  firstSeq: 1,
  records: [
    {
      id: '0198a6f2-6d5e-7c0e-9f43-2a4c15a1b001',
      seq: 1,
      createdDate: new Date(now - 3_998),
      operationId: created,
      sourceSystemName: 'patient',
      resource: { type: 'patient', id: patientId, operation: 'create' },
      actor: 'local-client',
      clientAddress: '127.0.0.1',
      requestId: '2d5f9c5e-1c4b-4c79-8d5e-9b6cf0a4e6aa'
    }
  ]
} as never)
await monitor.app.database.connected

const open = (view: View, options?: BrowserContextOptions) => browser.open(monitor.url, view, options)

for (const view of views) {
  const name = `${view.scheme}-${view.width}`
  t.test(`every page renders in ${view.scheme} at ${view.width} pixels`, async (t) => {
    const { page, complaints, close } = await open(view)
    t.teardown(close)
    const pages: Array<[name: string, path: string]> = [
      ['operations', '/'],
      ['routes', '/routes'],
      ['created', `/operations/${created}`],
      ['failed', `/operations/${failed}`],
      ['not-found', '/?id=00ff']
    ]
    for (const [what, path] of pages) {
      await page.goto(monitor.url + path)
      if (what === 'failed') await page.locator('summary', { hasText: 'RegisterUnavailable' }).click()
      await page.screenshot({ path: browser.artefact(`${what}-${name}.png`), fullPage: true })
      t.equal(await overflow(page), 0, `${what} does not scroll sideways`)
      if (view.barriers) t.same(await barriers(page), [], `${what} has no accessibility violation`)
    }
    t.same(complaints, [])
  })
}

t.test('shows failed operations first, and reaches each by the keyboard', async (t) => {
  const { page, complaints, close } = await open(views[0]!)
  t.teardown(close)
  await page.goto(monitor.url)
  t.same(await page.locator('.operations h2').allInnerTexts(), [
    'Failed 2',
    'Succeeded 40',
    'In the background 1'
  ])
  t.match(await page.locator('.operations li').first().innerText(), /GET \/patient\/:patientId[^]*Failed 404/)
  t.match(await page.locator('.operations li').nth(1).innerText(), /POST \/patient[^]*Failed 503/)

  await page.keyboard.press('Tab')
  t.equal(await page.locator(':focus').innerText(), 'Skip to the content')
  await page.keyboard.press('Enter')
  await page.keyboard.press('Tab')
  t.equal(await page.locator(':focus').innerText(), 'GET /patient/:patientId')
  await page.keyboard.press('Tab')
  t.not(
    await page
      .locator('li:focus-within')
      .evaluate('getComputedStyle(document.querySelector("li:focus-within")).outlineStyle'),
    'none'
  )
  await page.keyboard.press('Enter')
  await page.waitForURL(`**/operations/${failed}`)
  t.match(
    (await page.locator('.failures').innerText()).replace(/\s+/g, ' '),
    'patient POST /audit failed 2 times: ECONNREFUSED patient RegisterUnavailable was thrown'
  )
  t.equal(await page.locator('.badge', { hasText: 'Failed here' }).count(), 3)

  // An item opens by the keyboard, and stays open while the page renews itself
  const summary = page.locator('summary', { hasText: 'RegisterUnavailable' })
  await summary.focus()
  await page.keyboard.press('Enter')
  await monitor.track([message('one more', { role: 'patient', operationId: failed, time: now - 61_000 })])
  await page.locator('.name', { hasText: 'one more' }).waitFor()
  t.match(await page.locator('details[open]').innerText(), /audit-client\.ts:88/)
  t.match(await page.locator(':focus').innerText(), /RegisterUnavailable/)
  t.same(complaints, [])
})

t.test('finds an operation by its id, and shows its audit record beside it', async (t) => {
  const { page, complaints, close } = await open(views[0]!)
  t.teardown(close)
  await page.goto(monitor.url)
  await page.getByRole('searchbox').fill(` ${created.toUpperCase()} `)
  await page.keyboard.press('Enter')
  await page.waitForURL(`**/operations/${created}`)
  t.same(await page.locator('.waterfall .name').allInnerTexts(), [
    'POST /patient',
    'POST /patient',
    'POST /patient',
    'POST /audit',
    'POST /audit',
    'insert blocks',
    'batch stored',
    'insert patients'
  ])
  t.equal(await page.locator('.waterfall ol ol ol ol ol ol').count(), 1, 'as a tree')
  const register = page.getByRole('complementary')
  t.match(await register.innerText(), patientId)
  const [beside, waterfall] = await Promise.all([
    register.boundingBox(),
    page.locator('.waterfall').boundingBox()
  ])
  t.ok(beside!.x >= waterfall!.x + waterfall!.width, 'beside the waterfall')
  t.same(complaints, [])
})

t.test('refreshes itself until it is paused', async (t) => {
  const { page, complaints, close } = await open(views[0]!)
  t.teardown(close)
  await page.goto(`${monitor.url}/routes`)
  await monitor.track([request('GET /live', { role: 'gateway' })])
  await page.getByRole('rowheader', { name: 'GET /live' }).waitFor()
  await page.getByRole('button', { name: 'Pause' }).click()
  t.equal(await page.getByRole('status').innerText(), 'Paused')
  await page.reload()
  t.equal(await page.getByRole('status').innerText(), 'Paused', 'on the next page too')
  t.same(complaints, [])
})

t.test('works without JavaScript', async (t) => {
  const { page, close } = await open(views[0]!, { javaScriptEnabled: false })
  t.teardown(close)
  await page.goto(monitor.url)
  await page.getByRole('link', { name: 'Reload' }).click()
  await page.getByRole('searchbox').fill(created.slice(0, 12))
  await page.getByRole('button', { name: 'Find' }).click()
  await page.waitForURL(`**/operations/${created}`)
  await page.locator('summary', { hasText: 'insert blocks' }).click()
  t.match(await page.locator('details[open]').innerText(), /batch\.size\s+3/)
})
