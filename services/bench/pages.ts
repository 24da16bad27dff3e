import { setTimeout as sleep } from 'node:timers/promises'
import { MongoClient } from 'mongodb'
import { request } from 'undici'
import { number } from '#common/pages/text.ts'
import { reviewCollections, type ReviewDocument } from '../audit/review/documents.ts'
import type { System } from '../test/system.ts'
import { atMost, figure, inTurns } from './figures.ts'
import { END, PATIENT, PATIENT_EVERY, START } from './register-data.ts'

const ROUNDS = 5
/** The review follows some thousands of records a second. */
const REVIEWED_MS = 900_000

/**
 * Measures the auditor's page over a register with `size` records, asked through the gateway as a browser
 * asks: the timeline of a patient, and a search whose plots count all records.
 */
export async function auditorPages (system: System, size: number) {
  await reviewed(system, size)
  const cookie = await signIn(system)
  const range = new URLSearchParams({ from: new Date(START).toISOString(), to: END })
  const paths = { timeline: `/auditor/patients/${PATIENT}`, search: `/auditor/records?${range}` }
  const { timeline, search } = await inTurns(['timeline', 'search'], ROUNDS, async (name) => {
    const began = performance.now()
    const page = await load(system, paths[name], cookie)
    const ms = performance.now() - began
    if (name === 'timeline') expectAccesses(page, size / PATIENT_EVERY)
    else expectPlots(page, size)
    return ms
  }, 1)
  figure(`auditor-timeline-page-ms-${size}`, timeline, atMost(1_000))
  figure(`auditor-search-page-ms-${size}`, search, atMost(2_000))
}

/** Waits until the review has counted all records. */
async function reviewed ({ run }: System, size: number) {
  const client = await new MongoClient(run.audit.connection).connect()
  try {
    const review = client.db(run.audit.database).collection<ReviewDocument>(reviewCollections.review)
    const deadline = performance.now() + REVIEWED_MS
    while (((await review.findOne({}))?.position ?? 0) < size) {
      if (performance.now() > deadline) throw new Error('the records are not reviewed')
      await sleep(500)
    }
  } finally {
    await client.close()
  }
}

/** The cookie of a session. */
async function signIn ({ baseUrl, auditorKey }: System) {
  const { statusCode, headers, body } = await request(`${baseUrl}/auditor/sign-in`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': 'same-origin' },
    body: new URLSearchParams({ key: auditorKey, onBehalfOf: 'bench', purpose: 'HCOMPL' }).toString()
  })
  await body.dump()
  if (statusCode !== 303) throw new Error(`the sign-in answered ${statusCode}`)
  return String(headers['set-cookie']).split(';')[0]!
}

async function load ({ baseUrl }: System, path: string, cookie: string) {
  const { statusCode, body } = await request(`${baseUrl}${path}`, { headers: { cookie } })
  const page = await body.text()
  if (statusCode !== 200) throw new Error(`${path.split('?')[0]}: ${statusCode}`)
  return page
}

function expectAccesses (page: string, accesses: number) {
  const rows = page.match(/<a href="\/auditor\/records\//g)?.length ?? 0
  if (rows < accesses) throw new Error(`the timeline has ${rows} of ${accesses} accesses`)
}

function expectPlots (page: string, size: number) {
  const isCounted = page.includes(`<span class="count">${number(size)}</span>`)
  if (!isCounted || !page.includes('class="plots"')) throw new Error('the plots do not count all records')
}
