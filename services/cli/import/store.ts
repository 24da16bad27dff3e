import { violations, type Violation } from '#common/http/validation.ts'
import { NewPatient } from '../../patient/schemas/patient.ts'
import { NewTest } from '../../patient/schemas/test-result.ts'
import { normalise } from '../../patient/text.ts'
import type { Answer } from './gateway.ts'
import {
  prepareObservations, preparePatients, prepareReports, prepareSingleObservations, type Prepared, type Refused
} from './prepare.ts'
import { keyOf } from './resources.ts'
import type { Stage } from './stage.ts'

/** Creates a patient, or a test result of one; the key identifies it. */
export type Create = (path: string, body: string, key: string) => Promise<Answer>

interface Storing {
  create: Create
  /** Names the source of ids, which are unique within it. */
  source: string
  concurrency: number
  signal: AbortSignal
  /** Called with the number of resources that are done. */
  onDone (count: number): void
}

/** Stores what waits in the stage: patients first, then reports with their observations, then the rest. */
export async function storeAll (stage: Stage, storing: Storing) {
  for (const prepare of [preparePatients, prepareReports, prepareObservations, prepareSingleObservations]) {
    await inParallel(prepare(stage), storing, (one) => storeOne(stage, one, storing))
  }
}

async function storeOne (stage: Stage, one: Prepared | Refused, { create, source, onDone }: Storing) {
  const { resources } = one
  const [{ type, id }] = resources as [Prepared['resources'][0]]
  if ('reason' in one) stage.refuse(resources, one.reason)
  else {
    const { patientId, body, unread } = one
    const path = patientId === undefined ? '/patient' : `/patient/${patientId}/tests`
    const content = patientId === undefined ? 'patient' : 'test'
    const answer = await create(path, JSON.stringify(body), keyOf(source, type, id, content))
    if (answer.refused) stage.refuse(resources, answer.refused)
    else stage.store(resources, { ...answer, unread })
  }
  onDone(resources.length)
}

/** Works on `concurrency` items at a time, until all are done, one fails or the signal comes. */
async function inParallel<T> (
  items: Generator<T>, { concurrency, signal }: Storing, work: (item: T) => Promise<void>
) {
  let failed = false
  const worker = async () => {
    while (!failed && !signal.aborted) {
      const { value, done } = items.next()
      if (done) return
      try {
        await work(value)
      } catch (error) {
        failed = true
        throw error
      }
    }
  }
  const results = await Promise.allSettled(Array.from({ length: concurrency }, worker))
  const failure = results.find(({ status }) => status === 'rejected')
  if (failure) throw (failure as PromiseRejectedResult).reason
}

const MAX_BODY = 2 ** 20
const NO_ID = '00000000-0000-4000-8000-000000000000'

/** Validates what would be created, as the API does, without storing it. */
export const validateOnly: Create = async (path, body) => {
  const value = JSON.parse(body) as object
  const refused = problemsOf(path === '/patient' ? NewPatient : NewTest, value, body)
  return refused.length > 0 ? { refused } : { id: NO_ID, before: false }
}

function problemsOf (schema: object, value: object, body: string): Violation[] {
  if (Buffer.byteLength(body) > MAX_BODY) return [{ pointer: '', message: 'must not be larger than 1 MiB' }]
  if (normalise(value, 'absent')) return [{ pointer: '', message: 'must not have control characters' }]
  const { observations = [] } = value as { observations?: Array<{ id?: unknown }> }
  const found = violations(schema, value)
  if (found.length > 0 || new Set(observations.map(({ id }) => id)).size === observations.length) return found
  return [{ pointer: '#/observations', message: 'must not have an id twice' }]
}
