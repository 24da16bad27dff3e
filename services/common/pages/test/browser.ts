import { existsSync, mkdirSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import axe, { type AxeResults } from 'axe-core'
import { chromium, type BrowserContextOptions, type Page } from 'playwright-core'
import type { Test } from 'tap'

const executablePath = process.env.CHROMIUM ??
  ['chromium', 'chromium-browser', 'google-chrome']
    .flatMap((name) => process.env.PATH!.split(delimiter).map((dir) => join(dir, name)))
    .find(existsSync)

export interface View {
  scheme: 'light' | 'dark'
  width: number
  /** Whether axe runs: once for each colour scheme and each layout is enough. */
  barriers?: boolean
}

/** The views that every page is rendered in. */
export const views: View[] = [
  { scheme: 'light', width: 1280, barriers: true },
  { scheme: 'dark', width: 1280 },
  { scheme: 'light', width: 360 },
  { scheme: 'dark', width: 360, barriers: true }
]

/** Chromium, with a directory for screenshots. Ends the process where no Chromium is installed. */
export async function startBrowser (t: Test, name: string) {
  if (!executablePath) {
    process.stderr.write(
      `*** NOT TESTED: the pages of the ${name}; put Chromium on the PATH or set CHROMIUM ***\n`
    )
    t.plan(0, 'there is no Chromium here')
    process.exit()
  }
  const artefacts = resolve(
    process.env.ARTEFACTS ?? join(import.meta.dirname, '../../../../.artefacts', name)
  )
  mkdirSync(artefacts, { recursive: true })
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
  t.teardown(() => browser.close())

  /**
   * A page, with its script errors, violations of the security policy, failed requests and requests to other
   * origins than `origin` as `complaints`.
   */
  async function open (origin: string, { scheme, width }: View, options: BrowserContextOptions = {}) {
    const context = await browser.newContext({
      colorScheme: scheme,
      viewport: { width, height: width > 500 ? 900 : 780 },
      ...options
    })
    const page = await context.newPage()
    const complaints: string[] = []
    page.on('console', (entry) => {
      if (['error', 'warning'].includes(entry.type())) complaints.push(entry.text())
    })
    page.on('pageerror', (error) => complaints.push(error.message))
    page.on('request', (request) => {
      const url = new URL(request.url())
      if (url.origin !== origin && url.protocol !== 'blob:') complaints.push(`another origin: ${url}`)
    })
    // Navigation aborts the requests of the page before
    page.on('requestfailed', (request) => {
      if (request.failure()?.errorText !== 'net::ERR_ABORTED') complaints.push(request.url())
    })
    return { page, context, complaints, close: () => context.close() }
  }

  return { browser, open, artefact: (file: string) => join(artefacts, file) }
}

/** By how many pixels a page is wider than its window. */
export function overflow (page: Page) {
  return page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
}

/** The violations of WCAG 2.2 A and AA that axe finds. */
export async function barriers (page: Page) {
  // Run by the browser itself, which the security policy of the page does not restrict
  await page.evaluate(axe.source)
  const { violations } = await page.evaluate<AxeResults>(
    "axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })"
  )
  return violations.map(({ id, nodes }) => {
    return `${id}: ${nodes.map(({ html }) => html).slice(0, 3).join(' ')}`
  })
}
