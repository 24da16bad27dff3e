import { violations, type Violation } from '#common/http/validation.ts'
import { inParallel } from '#common/in-parallel.ts'
import { NewPatient } from '../../patient/schemas/patient.ts'
import { NewTest } from '../../patient/schemas/test-result.ts'
import { normalise } from '../../patient/text.ts'
import type { Answer } from './gateway.ts'
import {
  prepareObservations, preparePatients, prepareReports, prepareSingleObservations, type Prepared, type Refused
} from './prepare.ts'
import { keyOf } from './resources.ts'
import { DELETED } from './schema.ts'
import type { Stage, Staged } from './stage.ts'

/** Creates a patient, or a test result of one, once for its Idempotency-Key or If-None-Exist. */
export type Create = (path: string, body: string, headers: Record<string, string>) => Promise<Answer>

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
  const { concurrency: limit, signal } = storing
  for (const prepare of [preparePatients, prepareReports, prepareObservations, prepareSingleObservations]) {
    await inParallel(prepare(stage), (one) => storeOne(stage, one, storing), { limit, signal })
  }
}

async function storeOne (stage: Stage, one: Prepared | Refused, storing: Storing) {
  const { resources } = one
  if ('reason' in one) stage.refuse(resources, one.reason)
  else {
    const { patient, unread } = one
    const answer = await (patient
      ? createTest(stage, one, patient, storing)
      : createPatient(stage, one, storing))
    if (answer.refused) stage.refuse(resources, answer.refused)
    else stage.store(resources, { ...answer, unread })
  }
  storing.onDone(resources.length)
}

/** Creates a patient unless one with its identifier is there; without an identifier, once for its id. */
function createPatient (stage: Stage, { resources: [row], body }: Prepared, { create, source }: Storing) {
  const condition = ifNoneExist(body)
  // Of several that share an identifier, all are stored
  const headers = condition !== undefined && stage.claimIdentifier(condition, row!.seq)
    ? { 'if-none-exist': condition }
    : idempotencyKey(stage, source, row!, 'patient')
  return create('/patient', JSON.stringify(body), headers)
}

const MAX_CONDITION = 2_048

/** The condition that no patient has the first identifier with a system. */
function ifNoneExist (body: { identifiers?: unknown }) {
  const identifiers = Array.isArray(body.identifiers) ? body.identifiers as unknown[] : []
  const tokens = identifiers.flatMap((one) => {
    const { system, value } = (one ?? {}) as { system?: unknown, value?: unknown }
    if (typeof system !== 'string' || typeof value !== 'string') return []
    const parts = [system, value].map((part) => part.normalize('NFC').trim())
    return parts.includes('') || parts[1]!.includes('|') ? [] : parts.join('|')
  })
  if (tokens[0] === undefined || !tokens[0].isWellFormed()) return undefined
  const condition = `identifier=${encodeURIComponent(tokens[0])}`
  return condition.length > MAX_CONDITION ? undefined : condition
}

const MAX_MERGES = 8
const PATIENT_DELETED = 'names a patient that was deleted after it was imported'

/** Creates a test result of a patient, or of the one into which it was merged. */
async function createTest (stage: Stage, one: Prepared, patient: Staged, { create, source }: Storing) {
  const headers = idempotencyKey(stage, source, one.resources[0]!, 'test')
  const body = JSON.stringify(one.body)
  let id: string | undefined = patient.stored_id!
  for (let merges = 0; id !== undefined && merges < MAX_MERGES; merges++) {
    const answer: Answer = await create(`/patient/${id}/tests`, body, headers)
    if (!answer.refused || answer.code !== 'PATIENT_NOT_FOUND') {
      const isNews = id !== patient.stored_id || patient.state === DELETED
      if (!answer.refused && isNews) stage.movePatient(patient, id)
      return answer
    }
    id = answer.replacedBy
  }
  stage.markDeleted(patient)
  return { refused: [{ pointer: '#/subject', message: PATIENT_DELETED }] }
}

function idempotencyKey ({ salt }: Stage, source: string, { type, id }: Staged, content: string) {
  return { 'idempotency-key': keyOf(source, ...(salt ? [salt] : []), type, id, content) }
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
