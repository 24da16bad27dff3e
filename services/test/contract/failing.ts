import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { isProblem, isUnavailable, requestsAbout, startApi } from './api.ts'

/** A system that is made to fail, a patient and a test result in it, and the assertions of all failures. */
export async function startFailing () {
  const api = await startApi()
  const hasFailPoints = await api.hasFailPoints()
  const { patient, path, etag } = await api.create()
  const { path: testPath } = await api.createTest(path)
  const requests = requestsAbout(api, { patient, path, etag }, testPath)

  return {
    api,
    path,
    requests,
    needsFailPoints: { skip: !hasFailPoints && 'the server takes no configureFailPoint' },

    /** All requests at once are refused with 503 within `ms`, and nothing is disclosed by them. */
    async allAreUnavailable (t: Test, ms: number, code?: string) {
      const began = performance.now()
      await Promise.all(Object.entries(requests).map(async ([what, request]) => {
        const answer = await request()
        isUnavailable(t, answer)
        t.equal(answer.headers.etag, undefined, `${what} discloses nothing`)
        if (code) isProblem(t, answer, 503, code)
      }))
      t.ok(performance.now() - began < ms, 'in time')
    },

    /** What was there is there, and more can be stored. */
    async worksAgain (t: Test) {
      const giveUp = Date.now() + 10_000
      let answer = await api.get(path)
      while (answer.status === 503 && Date.now() < giveUp) {
        await sleep(50)
        answer = await api.get(path)
      }
      t.equal(answer.status, 200)
      t.strictSame(answer.body, patient)
      t.match(await api.create(), { etag: String })
    },

    /** Every patient and test result has the record of the write that left it; the patient is as it was. */
    async allIsRecorded (t: Test) {
      const records = new Map((await api.records()).map((record) => [record.id, record]))
      for (const name of ['patients', 'tests']) {
        const documents = await api.patientDb.collection<any>(name).find().toArray()
        t.strictSame(documents.filter(({ _id, _audit }) => records.get(_audit)?.resource.id !== _id), [])
      }
      t.strictSame((await api.get(path)).body, patient)
    }
  }
}
