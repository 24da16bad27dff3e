import { readFileSync } from 'node:fs'
import type { BrowserContextOptions, Page } from 'playwright-core'
import t from 'tap'
import { barriers, overflow, startBrowser, views, type View } from '../../common/pages/test/browser.ts'
import { startSystem } from '../../test/system.ts'
import { PATIENT, STRANGER, storeHistory } from './history.ts'

// As .taprc has it, for a run without it: tap's own 30 s are short on a busy machine
t.setTimeout(600_000)

const browser = await startBrowser(t, 'auditor')
const system = await startSystem({ env: { AUDITOR_PAGE: 'on', MONITOR: 'on' } })
t.teardown(async () => { await system.stop() })
const base = `${system.baseUrl}/auditor`
await storeHistory(system, 1_000)

const open = (view: View, options?: BrowserContextOptions) => browser.open(system.baseUrl, view, options)

async function signIn (page: Page) {
  await page.getByLabel('Subscription key').fill(system.auditorKey)
  await page.getByLabel('Your name').fill('reviewer-17')
  await page.getByRole('button', { name: 'Sign in' }).click()
}

/** A page that is signed in. */
async function signedIn (view: View = views[0]!, options?: BrowserContextOptions) {
  const opened = await open(view, options)
  await opened.page.goto(base)
  await signIn(opened.page)
  await opened.page.getByRole('heading', { name: 'Audit register' }).waitFor()
  return opened
}

async function content (download: Promise<{ path (): Promise<string> }>) {
  return readFileSync(await (await download).path())
}

t.test('signs in, refuses other keys, and signs out', async (t) => {
  const { page, context, complaints, close } = await open(views[0]!)
  t.teardown(close)
  await page.goto(`${base}/records?actor=ward-7`)
  t.match(await page.getByRole('alert').innerText(), 'The session has ended')
  await page.getByLabel('Subscription key').fill(system.subscriptionKey)
  await page.getByLabel('Your name').fill('reviewer-17')
  await page.keyboard.press('Enter')
  await page.getByText('The key is not accepted').waitFor()
  t.equal(await page.getByLabel('Subscription key').inputValue(), '', 'what was typed is not shown again')
  t.equal(await page.getByLabel('Your name').inputValue(), 'reviewer-17')
  await page.screenshot({ path: browser.artefact('refused.png') })
  await signIn(page)
  await page.waitForURL('**/records?actor=ward-7')
  const [cookie] = await context.cookies()
  t.match(cookie, { name: 'auditor', httpOnly: true, sameSite: 'Strict', path: '/auditor' })
  t.notMatch(decodeURIComponent(cookie!.value), system.auditorKey)

  await page.getByRole('button', { name: 'Sign out' }).click()
  await page.getByRole('heading', { name: 'Sign in' }).waitFor()
  t.strictSame(await context.cookies(), [])
  await page.goto(`${base}/patients/${PATIENT}`)
  t.equal(await page.getByRole('heading').innerText(), 'Sign in to the audit register')
  // The browser reports the status of the refused form
  t.strictSame(complaints.filter((text) => !text.includes('401')), [])
})

t.test('says beside a field what it must be, and keeps what was typed', async (t) => {
  const { page, close } = await open(views[0]!, { javaScriptEnabled: false })
  t.teardown(close)
  await page.goto(base)
  const name = page.getByLabel('Your name')
  t.match(await page.locator('label', { has: name }).innerText(), /letters \(A to Z\), digits and/)
  await page.getByLabel('Subscription key').fill(system.auditorKey)
  // As a browser that does not check patterns sends it
  await name.evaluate((input: { removeAttribute (name: string): void }) => input.removeAttribute('pattern'))
  await name.fill('Ada Lovelace')
  await page.getByRole('button', { name: 'Sign in' }).click()
  t.match(await page.locator('#onBehalfOf-problem').innerText(), 'no blanks, as in ada.lovelace')
  t.equal(await name.inputValue(), 'Ada Lovelace')
  await page.screenshot({ path: browser.artefact('refused-name.png') })
  await signIn(page)
  await page.getByRole('heading', { name: 'Audit register' }).waitFor()

  await page.goto(`${base}/records?from=2026-01-01T00:00&to=2026-03-01T00:00`)
  t.match(await page.locator('#to-problem').innerText(), 'must be at most 31 days after from')
  t.equal(await page.locator('#to').inputValue(), '2026-03-01T00:00')
  t.equal(await page.locator('#to').getAttribute('aria-describedby'), 'to-problem')
  await page.screenshot({ path: browser.artefact('refused-date.png') })
  await page.goto(`${base}/patients/${PATIENT}?from=2026-02-01T00:00&to=2026-01-01T00:00`)
  t.match(await page.locator('#to-problem').innerText(), 'must be later than from')
  t.equal(await overflow(page), 0)
})

t.test('shows who opened a record, unexplained accesses first', async (t) => {
  const { page, complaints, close } = await signedIn()
  t.teardown(close)
  await page.getByLabel('Who opened this record?').fill(PATIENT.toUpperCase())
  await page.getByRole('button', { name: 'Open' }).last().click()
  await page.waitForURL(`**/patients/${PATIENT}`)
  const unexplained = page.locator('section', { has: page.getByRole('heading', { name: 'Unexplained' }) })
  t.match(await unexplained.innerText(), new RegExp(STRANGER))
  t.match(await unexplained.innerText(), /dr-3301[^]*Unconscious/)
  t.notMatch(await unexplained.innerText(), /lab-0019/)
  const headings = await page.getByRole('heading', { level: 2 }).allInnerTexts()
  t.strictSame(headings.map((text) => text.split(' ')[0]), ['Unexplained', 'Explained', 'Asked'])
  const explained = page.locator('section', { has: page.getByRole('heading', { name: /^Explained/ }) })
  t.match(await explained.locator('tbody tr').first().innerText(), /changed patient\s+\d+ days? before/)

  // With more days, more is explained; in a shorter time, fewer are shown
  await page.getByText('What “explained” means').click()
  await page.getByLabel('Days').fill('1')
  await page.getByRole('button', { name: 'Show' }).click()
  await page.waitForURL('**days=1**')
  const count = async () => Number((await page.locator('.facts dd').first().innerText()).replace(',', ''))
  t.ok(await count() > 800)
  t.strictSame(complaints, [])
})

t.test('shows a timeline of a thousand accesses', async (t) => {
  const { page, close } = await signedIn()
  t.teardown(close)
  const times: number[] = []
  for (let i = 0; i < 3; i++) {
    const began = performance.now()
    await page.goto(`${base}/patients/${PATIENT}`, { waitUntil: 'load' })
    times.push(performance.now() - began)
  }
  t.ok(await page.locator('section tbody tr').count() >= 1_000)
  // A figure and no check: it depends on the machine
  t.comment(`timeline of 1,000 accesses: ${times.map(Math.round).join(', ')} ms`)
})

t.test('searches with filters, pages, and leads from a record to its operation in the monitor', async (t) => {
  const { page, complaints, close } = await signedIn()
  t.teardown(close)
  await page.getByRole('link', { name: 'Records' }).click()
  await page.getByLabel('Actor', { exact: true }).fill('laboratory')
  await page.locator('#operation').fill('load')
  await page.getByRole('button', { name: 'Search' }).click()
  await page.waitForURL('**actor=laboratory**')
  const rows = page.locator('section:last-of-type table tbody tr')
  t.ok(await rows.count() > 0)
  for (const text of await rows.allInnerTexts()) t.match(text, /laboratory[^]*loaded patient/)
  await rows.first().getByRole('link').first().click()
  await page.getByRole('heading', { name: 'Record' }).waitFor()
  t.match(await page.locator('main').innerText(), /audited-patient-api\/witness[^]*checked/)
  const monitor = await page.getByRole('link', { name: /^[0-9a-f]{32}$/ }).getAttribute('href')
  t.match(monitor, new RegExp(`^${system.run.monitor!.url}/operations/[0-9a-f]{32}$`))
  t.strictSame(complaints, [])
})

t.test('downloads with progress, and says why a download failed', async (t) => {
  const { page, complaints, close } = await signedIn()
  t.teardown(close)
  await page.goto(`${base}/patients/${PATIENT}`)
  const download = page.waitForEvent('download')
  await page.getByRole('link', { name: 'NDJSON' }).click()
  const lines = (await content(download)).toString().trimEnd().split('\n')
  t.ok(lines.length >= 1_000)
  t.ok(lines.every((line) => JSON.parse(line).id))
  t.match(await page.getByRole('status').innerText(), /^Downloaded: [\d,]+ lines, /)
  t.equal(await page.locator('progress').evaluate((bar: { value: number }) => bar.value), 1)

  await page.goto(`${base}/records`)
  const csv = page.waitForEvent('download')
  await page.getByRole('link', { name: 'CSV' }).click()
  t.match((await content(csv)).toString(), /^id,createdDate,/)
  t.strictSame(complaints, [])

  // A time that is longer than the register allows
  await page.goto(`${base}/integrity`)
  await page.locator('#from').fill('2020-01-01T00:00')
  await page.getByRole('button', { name: 'Download' }).click()
  await page.locator('.download.failed').waitFor()
  t.match(await page.getByRole('status').innerText(), /The download failed, and nothing was saved/)
})

t.test('plots what the register counted, and downloads evidence and an accounting', async (t) => {
  const { page, complaints, close } = await signedIn()
  t.teardown(close)
  const figure = page.getByRole('img', { name: /^Records by hour: [1-9][\d,]* records/ })
  // The register counts records a moment after it has stored them
  for (let i = 0; i < 50; i++) {
    await page.goto(`${base}/records`)
    if (await figure.isVisible()) break
  }
  t.ok(await figure.isVisible())
  await page.getByText('As a table').click()
  t.ok(await page.getByRole('table', { name: 'Records by hour' }).isVisible())
  await page.getByRole('table', { name: 'Actor' }).getByRole('link', { name: 'laboratory' }).click()
  await page.waitForURL('**actor=laboratory**')
  t.equal(await page.getByLabel('Actor', { exact: true }).inputValue(), 'laboratory')

  const evidence = page.waitForEvent('download')
  await page.getByRole('link', { name: 'Evidence pack' }).click()
  t.equal((await content(evidence)).toString('latin1', 0, 2), 'PK')
  await page.goto(`${base}/patients/${PATIENT}`)
  const accounting = page.waitForEvent('download')
  await page.getByRole('link', { name: /^Accounting/ }).click()
  t.equal((await content(accounting)).toString('latin1', 0, 2), 'PK')
  t.strictSame(complaints, [])
})

/** Loads a new patient for an emergency. Fulfilled with the id of the patient. */
async function breakTheGlass () {
  const headers = { 'ocp-apim-subscription-key': system.subscriptionKey, 'content-type': 'application/json' }
  const body = JSON.stringify({ lastName: 'Lovelace', gender: 'female' })
  const created = await fetch(`${system.baseUrl}/patient`, { method: 'POST', headers, body })
  const { id } = await created.json() as { id: string }
  const why = { 'x-purpose-of-use': 'BTG', 'x-purpose-reason': 'Unconscious on arrival' }
  await fetch(`${system.baseUrl}/patient/${id}`, { headers: { ...headers, ...why } })
  return id
}

t.test('reviews a finding from new to closed, and watches a patient', async (t) => {
  const { page, complaints, close } = await signedIn()
  t.teardown(close)
  const patientId = await breakTheGlass()
  await page.getByRole('link', { name: 'Findings', exact: true }).first().click()
  await page.getByLabel('Rule').selectOption({ label: 'Break the glass' })
  await page.getByLabel('Patient', { exact: true }).fill(patientId)
  await page.getByRole('button', { name: 'Show' }).click()
  await page.waitForURL(`**patientId=${patientId}**`)
  const rows = page.getByRole('table', { name: /^Findings/ }).locator('tbody tr')
  // Rules look at a record a moment after it is stored
  for (let i = 0; i < 100 && !await rows.first().isVisible(); i++) await page.reload()
  t.match(await rows.allInnerTexts(), [/Break the glass[^]*new$/])
  await page.screenshot({ path: browser.artefact('findings.png') })

  await rows.getByRole('link').first().click()
  await page.getByRole('button', { name: 'Start the review' }).click()
  await page.getByLabel('Reason').fill('Seen in the emergency room')
  await page.getByRole('button', { name: 'Close' }).click()
  await page.getByRole('button', { name: 'Reopen' }).waitFor()
  const history = page.locator('section', { has: page.getByRole('heading', { name: 'History' }) })
  t.match(await history.locator('tbody tr').allInnerTexts(), [
    /closed[^]*reviewer-17[^]*Seen in the emergency room/, /under review[^]*reviewer-17/
  ])
  t.same(await barriers(page), [])

  await page.goto(`${base}/findings`)
  await page.getByLabel('Patient id').last().fill(patientId)
  await page.getByRole('button', { name: 'Watch', exact: true }).click()
  await page.getByRole('button', { name: `Stop watching ${patientId}` }).click()
  await page.getByRole('button', { name: `Stop watching ${patientId}` }).waitFor({ state: 'detached' })
  t.same(await barriers(page), [])
  t.strictSame(complaints, [])
})

t.test('shows the state of the log', async (t) => {
  const { page, complaints, close } = await signedIn()
  t.teardown(close)
  await page.getByRole('link', { name: 'Integrity' }).first().click()
  await page.getByRole('heading', { name: 'Newest checkpoint' }).waitFor()
  const cosigned = page.getByText('Cosigned by witnesses')
  for (let i = 0; i < 50 && !await cosigned.isVisible(); i++) await page.reload()
  const witnesses = page.getByRole('table', { name: 'Cosigned by witnesses' })
  t.match(await witnesses.innerText(), /audited-patient-api\/witness[^]*\d{4}-\d\d-\d\d \d\d:[^]*checked/)
  t.match(await page.getByRole('table', { name: /^Each key/ }).innerText(), 'the first key')
  const download = page.waitForEvent('download')
  await page.getByRole('link', { name: 'Checkpoint' }).click()
  t.match((await content(download)).toString(), /^\S+\n\d+\n[^]*\n\n— /)
  t.strictSame(complaints, [])
})

for (const view of views) {
  const name = `${view.scheme}-${view.width}`
  t.test(`every page renders in ${view.scheme} at ${view.width} pixels`, async (t) => {
    const { page, complaints, close } = await open(view)
    t.teardown(close)
    await page.goto(base)
    const check = async (what: string) => {
      await page.screenshot({ path: browser.artefact(`${what}-${name}.png`) })
      t.equal(await overflow(page), 0, `${what} does not scroll sideways`)
      if (view.barriers) t.same(await barriers(page), [], `${what} has no accessibility violation`)
    }
    await check('sign-in')
    await signIn(page)
    await page.getByRole('heading', { name: 'Audit register' }).waitFor()
    await check('overview')
    // Of a short time, since axe looks at every cell
    const from = new Date(Date.now() - 36 * 60 * 60 * 1_000).toISOString().slice(0, 16)
    for (const what of ['records', 'findings', 'integrity', `patients/${PATIENT}?from=${from}`]) {
      await page.goto(`${base}/${what}`)
      await check(what.split('/')[0]!)
    }
    await page.locator('tbody a').first().click()
    await page.getByRole('heading', { name: 'Record' }).waitFor()
    await check('record')
    t.same(complaints, [])
    await page.goto(`${base}/nothing`)
    await check('not-found')
  })
}

t.test('is used by the keyboard alone', async (t) => {
  const { page, complaints, close } = await open(views[0]!)
  t.teardown(close)
  await page.goto(base)
  await page.keyboard.press('Tab')
  t.equal(await page.locator(':focus').innerText(), 'Skip to the content')
  await page.keyboard.press('Enter')
  await page.keyboard.press('Tab')
  await page.keyboard.type(system.auditorKey)
  await page.keyboard.press('Tab')
  await page.keyboard.type('reviewer-17')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { name: 'Audit register' }).waitFor()
  await page.getByRole('link', { name: 'Skip to the content' }).press('Enter')
  await page.keyboard.press('Tab')
  await page.keyboard.type(PATIENT)
  await page.keyboard.press('Enter')
  await page.waitForURL(`**/patients/${PATIENT}`)
  const figure = page.locator('figure summary')
  await figure.focus()
  await page.keyboard.press('Enter')
  t.ok(await page.getByRole('table', { name: 'Accesses by time' }).isVisible())
  t.same(complaints, [])
})

t.test('prints the timeline without its controls', async (t) => {
  const { page, complaints, close } = await signedIn()
  t.teardown(close)
  await page.goto(`${base}/patients/${PATIENT}`)
  await page.emulateMedia({ media: 'print', colorScheme: 'dark' })
  for (const hidden of ['.masthead', '.actions', '.explanation']) {
    t.notOk(await page.locator(hidden).first().isVisible(), hidden)
  }
  t.ok(await page.getByText(STRANGER).first().isVisible())
  const pdf = await page.pdf({ path: browser.artefact('timeline.pdf'), format: 'A4' })
  t.ok(pdf.length > 10_000)
  t.same(complaints, [])
})

t.test('works without JavaScript', async (t) => {
  const { page, close } = await signedIn(views[0]!, { javaScriptEnabled: false })
  t.teardown(close)
  await page.goto(`${base}/patients/${PATIENT}`)
  const download = page.waitForEvent('download')
  await page.getByRole('link', { name: 'CSV' }).click()
  t.match((await content(download)).toString(), /^id,createdDate,/)
  t.notOk(await page.getByRole('button', { name: 'Print' }).isVisible())
})
