import { readFileSync } from 'node:fs'
import t from 'tap'
import type { Page } from 'playwright-core'
import { barriers, overflow, startBrowser, views } from '../../../common/pages/test/browser.ts'
import { startSystem } from '../../../test/system.ts'

// As .taprc has it, for a run without it: tap's own 30 s are short on a busy machine
t.setTimeout(600_000)

const { open, artefact } = await startBrowser(t, 'portal')
const system = await startSystem({ env: { MONITOR: 'on', AUDITOR_PAGE: 'on' } })
t.teardown(() => system.stop())
const { baseUrl } = system

/** Sends the form, and waits for its response. */
async function send (page: Page) {
  await page.getByRole('button', { name: 'Send' }).click()
  await page.locator('#response .status').waitFor()
  return page.locator('#response').innerText()
}

for (const view of views) {
  const name = `${view.scheme}-${view.width}`
  t.test(`every page renders in ${view.scheme} at ${view.width} pixels`, async (t) => {
    const { page, complaints, close } = await open(baseUrl, view)
    t.teardown(close)
    const pages: Array<[name: string, path: string]> = [
      ['overview', '/'],
      ['operations', '/portal/operations'],
      ['create-patient', '/portal/operations/create-patient'],
      ['create-test', '/portal/operations/create-test'],
      ['search-records', '/portal/operations/search-records'],
      ['tile', '/portal/operations/load-tile'],
      ['quick-starts', '/portal/quick-starts'],
      ['errors', '/portal/errors']
    ]
    for (const [what, path] of pages) {
      await page.goto(baseUrl + path)
      for (const details of await page.locator('main details > summary').all()) {
        if (await details.isVisible()) await details.click()
      }
      if (what === 'create-patient') t.match(await send(page), /201 Created/)
      await page.screenshot({ path: artefact(`${what}-${name}.png`), fullPage: true })
      t.equal(await overflow(page), 0, `${what} does not scroll sideways`)
      if (view.barriers) t.same(await barriers(page), [], `${what} has no accessibility violation`)
    }
    t.same(complaints, [])
    const missing = await page.goto(`${baseUrl}/portal/missing`)
    t.equal(missing!.status(), 404)
    if (view.barriers) t.same(await barriers(page), [])
  })
}

t.test('a first visit: from the overview to a patient that is created and found', async (t) => {
  const { page, complaints, close } = await open(baseUrl, views[0]!)
  t.teardown(close)
  await page.goto(baseUrl)
  t.equal(await page.locator('.states .good').count(), 5, 'all that have health checks are ready')
  await page.getByRole('link', { name: 'create a patient here' }).click()
  t.equal(await page.getByLabel('Subscription key').inputValue(), system.subscriptionKey)
  const body = JSON.stringify({ lastName: 'Firstvisit', gender: 'female', dateOfBirth: '1985-12-10' })
  await page.getByLabel('Body').fill(body)
  const created = await send(page)
  t.match(created, /^201 Created after \d+ ms/)
  const id = /"id": "([0-9a-f-]{36})"/.exec(created)![1]!

  await page.getByRole('link', { name: 'Operations' }).first().click()
  await page.getByRole('link', { name: 'Search patients' }).click()
  await page.getByLabel('Body').fill('{"lastName": "Firstvisit"}')
  const found = await send(page)
  t.match(found, /^200 OK/)
  t.match(found, id)

  await page.goto(`${baseUrl}/portal/operations/load-patient`)
  t.equal(await page.getByLabel('patientId').inputValue(), id, 'the id is filled in')
  t.match(await send(page), /"lastName": "Firstvisit"/)
  await page.locator('#response summary', { hasText: 'curl' }).click()
  const curl = await page.locator('#response details[open]').innerText()
  t.match(curl, `curl -i '${baseUrl}/patient/${id}' -H "Ocp-Apim-Subscription-Key: $KEY"`)
  t.notMatch(curl, system.subscriptionKey)
  t.same(complaints, [])
})

t.test('the audit register opens with the key of an auditor, in each of its formats', async (t) => {
  const { page, complaints, close } = await open(baseUrl, views[0]!)
  t.teardown(close)
  await page.goto(`${baseUrl}/portal/operations/search-records`)
  t.equal(await page.getByLabel('Subscription key').inputValue(), system.auditorKey)
  await page.getByText('optional parameters').click()
  await page.getByLabel('limit').fill('2')
  t.match(await send(page), /^200 OK/)
  // CSV has all of them
  await page.getByLabel('limit').fill('')
  await page.getByLabel('Accept').selectOption('text/csv')
  const [, csv] = await Promise.all([
    page.getByRole('button', { name: 'Send' }).click(),
    page.waitForResponse((response) => response.url().includes('/audit?'))
  ])
  t.match(csv.headers()['content-type'], 'text/csv')
  await page.locator('#response pre', { hasText: 'createdDate,' }).waitFor()
  const saved = page.waitForEvent('download')
  await page.getByRole('link', { name: 'Save the body' }).click()
  const file = await (await saved).path()
  t.match((await saved).suggestedFilename(), /\.csv$/)
  t.ok(readFileSync(file, 'utf8').trimEnd().split('\r\n').length > 3)
  t.same(complaints, [])
})

t.test('a body that is no text is saved as it came', async (t) => {
  const { page, close } = await open(baseUrl, views[0]!)
  t.teardown(close)
  await page.goto(`${baseUrl}/portal/operations/load-tile`)
  const headers = { 'ocp-apim-subscription-key': system.auditorKey }
  const checkpoint = await (await fetch(`${baseUrl}/log/checkpoint`, { headers })).text()
  const size = Number(checkpoint.split('\n')[1])
  await page.getByLabel('rest of the path').fill(`0/000${size < 256 ? `.p/${size}` : ''}`)
  t.match(await send(page), /^200 OK/)
  t.equal(await page.locator('#response .status ~ pre').count(), 0)
  const saved = page.waitForEvent('download')
  await page.getByRole('link', { name: 'Save the body' }).click()
  const file = readFileSync(await (await saved).path())
  t.equal(file.length, 32 * Math.min(size, 256))
})

t.test('an error leads to its explanation, and to its operation in the monitor', async (t) => {
  const { page, close } = await open(baseUrl, views[0]!)
  t.teardown(close)
  await page.goto(`${baseUrl}/portal/operations/create-patient`)
  await page.getByLabel('Body').fill('{"lastName": "Errorvisit", "unknown": 1}')
  t.match(await send(page), /^400 Bad Request/)
  t.match(await page.getByRole('link', { name: 'In the monitor' }).getAttribute('href'),
    /^http:\/\/127\.0\.0\.1:\d+\/operations\/[0-9a-f]{32}$/)
  await page.getByRole('link', { name: 'What this error means' }).click()
  await page.waitForURL('**/portal/errors#INVALID_REQUEST')
  t.match(await page.locator(':target').innerText(), /INVALID_REQUEST 400[^]*Correct the properties/)

  await page.goto(`${baseUrl}/portal/operations/create-patient`)
  await page.getByLabel('Subscription key').fill('wrong')
  t.match(await send(page), /^401/)
  await page.getByRole('link', { name: 'What this error means' }).click()
  t.match(await page.locator(':target').innerText(), 'The subscription key is missing')
})

t.test('quick starts have the address and the key of this system, and are copied', async (t) => {
  const { page, context, complaints, close } = await open(baseUrl, views[0]!)
  t.teardown(close)
  await context.grantPermissions(['clipboard-read', 'clipboard-write'])
  await page.goto(`${baseUrl}/portal/quick-starts`)
  t.same(await page.getByRole('heading', { level: 2 }).allInnerTexts(), ['curl', 'TypeScript', 'Python'])
  await page.getByRole('button', { name: 'Copy the settings' }).click()
  await page.getByText('Copied').waitFor()
  const copied = await page.evaluate('navigator.clipboard.readText()')
  t.equal(copied, `export BASE=${baseUrl}\nexport KEY='${system.subscriptionKey}'`)
  const file = readFileSync(new URL('../../../../docs/quick-start/quick-start.ts', import.meta.url), 'utf8')
  t.equal(await page.getByRole('region', { name: 'quick-start.ts' }).textContent(), file)
  t.same(complaints, [])
})

t.test('the button is legible in both colour schemes', async (t) => {
  for (const view of [views[0]!, views[1]!]) {
    const { page, close } = await open(baseUrl, view)
    t.teardown(close)
    await page.goto(`${baseUrl}/portal/operations/create-patient`)
    // axe leaves out texts that have the colour of their background
    const [color, background] = await page.evaluate<[string, string]>(`
      const { color, backgroundColor } = getComputedStyle(document.querySelector('.try button'));
      [color, backgroundColor]`)
    t.not(color, background)
  }
})

t.test('a patient is created by the keyboard alone', async (t) => {
  const { page, complaints, close } = await open(baseUrl, views[0]!)
  t.teardown(close)
  await page.goto(`${baseUrl}/portal/operations/create-patient`)
  await page.keyboard.press('Tab')
  t.equal(await page.locator(':focus').innerText(), 'Skip to the content')
  await page.keyboard.press('Enter')
  const focused = () => page.locator(':focus').getAttribute('id')
  while (await focused() !== 'key') await page.keyboard.press('Tab')
  await page.keyboard.press('Enter')
  await page.locator('#response .status').waitFor()
  t.match(await page.locator('#response').innerText(), /^201 Created/)
  t.equal(await page.getByRole('status').getAttribute('id'), 'response', 'screen readers announce it')
  t.same(complaints, [])
})

t.test('works without JavaScript, but for sending', async (t) => {
  const { page, close } = await open(baseUrl, views[0]!, { javaScriptEnabled: false })
  t.teardown(close)
  await page.goto(baseUrl)
  await page.getByRole('link', { name: 'Operations', exact: true }).click()
  await page.getByRole('link', { name: 'Create a patient' }).click()
  t.ok(await page.getByRole('button', { name: 'Send' }).isDisabled())
  t.match(await page.locator('noscript').innerText(), 'needs JavaScript')
})
