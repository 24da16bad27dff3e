import { randomBytes, randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'undici'
import { ABSENT, Known, endedState, movedState, testState } from './knowledge.ts'
import { Random } from './random.ts'

const ANSWER_MS = 12_000
const MAX_PATIENTS = 6
const PAUSE_MS = [150, 650] as const
const WEIGHTS = {
  create: 12,
  load: 18,
  replace: 14,
  patch: 12,
  search: 8,
  remove: 3,
  merge: 3,
  createTest: 12,
  listTests: 6,
  loadTest: 5,
  refused: 6,
  replaceTest: 8,
  patchTest: 4,
  removeTest: 3,
  moveTest: 5,
  race: 6
}

/** Searches are no writes, and creates are refused only while an earlier request may still do the same. */
const WRITING = ['PUT', 'PATCH', 'DELETE']

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
type Headers = Record<string, string>

interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: any
  operationId: string
}

/** A response that disclosed documents. */
export interface Disclosed {
  operation: string
  operationId: string
  ids: string[]
  /** Where the response has it. */
  version?: string
  /** When it arrived, in ms since the epoch. */
  at: number
}

/** What all clients together have seen. */
export class Journal {
  readonly known: Known[] = []
  readonly disclosed: Disclosed[] = []
  /** The trace ids of requests that succeeded. */
  readonly succeeded = new Set<string>()
  /** The trace ids of writes that were refused. */
  readonly refused = new Set<string>()
  /** By operation and status. */
  readonly statuses = new Map<string, number>()
  /** Creates with an Idempotency-Key, by the name that each gives. */
  readonly once = new Set<string>()
  /** What a client saw that it must not see. */
  readonly findings: string[] = []
  unanswered = 0

  count (operation: string, status: string | number) {
    const key = `${operation} ${status}`
    this.statuses.set(key, (this.statuses.get(key) ?? 0) + 1)
  }
}

/** One client with patients of its own. It sends one request at a time and notes what was acknowledged. */
export class Client {
  #lastName: string
  #random: Random
  #journal: Journal
  #pool: Pool
  #key: string
  #patients: Known[] = []
  #tests: Known[] = []
  #values = 0
  #pace: number

  constructor (number: number, seed: number, pool: Pool, key: string, journal: Journal, pace: number) {
    this.#lastName = `Client-${number}`
    this.#random = new Random(seed * 1_000 + number)
    this.#pool = pool
    this.#key = key
    this.#journal = journal
    this.#pace = pace
  }

  async run (isOver: () => boolean) {
    while (!isOver()) {
      await sleep(this.#random.between(...PAUSE_MS) * this.#pace)
      const operation = this.#random.weighted(WEIGHTS)
      await this.#do(operation)
    }
  }

  async #do (operation: keyof typeof WEIGHTS): Promise<unknown> {
    const patients = this.#patients.filter(({ retired }) => !retired)
    const tests = this.#tests.filter(({ retired }) => !retired)
    if (patients.length === 0) return await this.create()
    const patient = this.#random.pick(patients)
    const other = this.#random.pick(patients)
    if (operation === 'create') {
      return await (patients.length < MAX_PATIENTS ? this.create() : this.#remove(patient))
    }
    if (operation === 'load') return await this.#load(patient)
    if (operation === 'replace' || operation === 'patch') return await this.#change(patient, operation)
    if (operation === 'race') return await this.#race(patient)
    if (operation === 'search') return await this.#search()
    if (operation === 'refused') return await this.#beRefused(patient)
    if (operation === 'remove') return await this.#remove(patient)
    if (operation === 'merge') return other === patient ? undefined : await this.#merge(patient, other)
    if (operation === 'createTest') return await this.#createTest(patient)
    if (operation === 'listTests') return await this.#listTests(patient)
    if (tests.length === 0) return
    const test = this.#random.pick(tests)
    if (operation === 'loadTest') return await this.#load(test)
    if (operation === 'replaceTest') return await this.#change(test, 'replace')
    if (operation === 'patchTest') return await this.#change(test, 'patch')
    if (operation === 'removeTest') return await this.#remove(test)
    if (other.id !== test.patientId) return await this.#moveTest(test, other)
  }

  /** A content that no other state has. */
  #value () {
    return (++this.#values).toString(36).padStart(4, '0')
  }

  #details (firstName: string, postCode: string) {
    return { firstName, lastName: this.#lastName, gender: 'female', dateOfBirth: '1915', postCode }
  }

  /** Whether a patient is created. */
  async create () {
    const value = this.#value()
    const name = `${this.#lastName}-${value}`
    const answer = await this.#createWith('create', '/patient', this.#details(name, value), name)
    if (answer?.status !== 201) return false
    this.#add(this.#patients, new Known('patient', answer.body.id, name, value, tagOf(answer)))
    return true
  }

  async #createTest (patient: Known) {
    const value = this.#value()
    const name = `${this.#lastName}-${value}`
    const path = `/patient/${patient.id}/tests`
    const answer = await this.#createWith('createTest', path, testOf(patient.id, name, value), name)
    if (answer?.status !== 201) return
    const state = testState(patient.id, value)
    this.#add(this.#tests, new Known('test', answer.body.id, name, state, tagOf(answer), patient.id))
  }

  #add (list: Known[], known: Known) {
    list.push(known)
    this.#journal.known.push(known)
  }

  /** A create, of which half can be repeated. */
  async #createWith (operation: string, path: string, body: object, name: string) {
    const isOnce = this.#random.chance(0.5)
    if (isOnce) this.#journal.once.add(name)
    const headers: Headers = isOnce ? { 'idempotency-key': randomUUID() } : {}
    for (let attempt = 0; ; attempt++) {
      const answer = await this.#call(operation, 'POST', path, body, headers, attempt > 0 ? [409] : [])
      if (answer?.status === 201 && isOnce) await this.#repeat(operation, path, body, headers, answer.body.id)
      if (answer?.status === 201 || !isOnce || attempt === 2) return answer
      await sleep(this.#random.between(...PAUSE_MS))
    }
  }

  /** Sends a create again, as a client that lost the response: through any replica, and two at once. */
  async #repeat (operation: string, path: string, body: object, headers: Headers, id: string) {
    if (this.#random.chance(0.5)) return
    const repeats = [1, 2].map(() => this.#call(operation, 'POST', path, body, headers, [404, 409]))
    for (const answer of await Promise.all(repeats)) {
      if (answer?.status !== 201 || answer.body.id === id) continue
      this.#journal.findings.push(`(a) a repeated ${operation} has created ${answer.body.id} beside ${id}`)
    }
  }

  /** Two changes at once of the same version, of which one has to be refused. */
  async #race (known: Known) {
    const { tag } = known
    if (tag === undefined) return
    const changes = [this.#value(), this.#value()].map(async (value) => {
      const body = patchOf(known, value)
      const headers = { 'if-match': `"${tag}"` }
      return { value, answer: await this.#call('race', 'PATCH', pathOf(known), body, headers, [412]) }
    })
    const raced = await Promise.all(changes)
    const done = raced.filter(({ answer }) => answer?.status === 200)
    if (done.length === 2) {
      const tags = done.map(({ answer }) => tagOf(answer!)).join(' and ')
      this.#journal.findings.push(`(a) version ${tag} of ${known.id} was replaced by both ${tags}`)
    }
    known.tag = undefined
    // One that is done leaves nothing to the other, whatever became of it
    const [first] = done
    if (first) return known.acknowledged(first.value, tagOf(first.answer!))
    for (const { value, answer } of raced) if (!isRefused(answer)) known.unanswered(value, true)
  }

  async #load (known: Known) {
    const answer = await this.#call('load', 'GET', pathOf(known))
    if (answer?.status !== 200) return
    this.#disclosed('load', answer, [known.id], tagOf(answer))
    const state = stateOf(known, answer.body)
    if (!known.allowed.has(state)) {
      const allowed = [...known.allowed].join(' or ')
      this.#journal.findings.push(`(a) ${known.type} ${known.id} was loaded as ${state}, not as ${allowed}`)
    }
    known.tag = tagOf(answer)
  }

  async #change (known: Known, kind: 'replace' | 'patch') {
    const value = this.#value()
    const { patientId, tag } = known
    const state = patientId ? testState(patientId, value) : value
    const isConditional = tag !== undefined && this.#random.chance(0.5)
    const headers: Headers = isConditional ? { 'if-match': `"${tag}"` } : {}
    const body = kind === 'patch' ? patchOf(known, value) : this.#replacementOf(known, value)
    const excused = isConditional && known.mayHaveChanged ? [412] : []
    const method = kind === 'patch' ? 'PATCH' : 'PUT'
    const answer = await this.#call(kind, method, pathOf(known), body, headers, excused)
    if (answer?.status === 200) known.acknowledged(state, tagOf(answer))
    else if (!isRefused(answer)) known.unanswered(state, isConditional)
    else known.tag = undefined
  }

  /** A write that must change nothing: of an unknown patient, or of a version that there never was. */
  async #beRefused (patient: Known) {
    const isUnknown = this.#random.chance(0.5)
    const path = `/patient/${isUnknown ? randomUUID() : patient.id}`
    const headers: Headers = isUnknown ? {} : { 'if-match': `"${randomUUID()}"` }
    const body = { postCode: this.#value() }
    const answer = await this.#call('refused', 'PATCH', path, body, headers, [isUnknown ? 404 : 412])
    const isChanged = answer && answer.status < 300
    if (isChanged) this.#journal.findings.push(`(a) ${path} was changed, which had to be refused`)
  }

  #replacementOf ({ patientId, name }: Known, value: string) {
    return patientId ? testOf(patientId, name, value) : this.#details(name, value)
  }

  async #search () {
    const known = this.#patients.filter(({ retired }) => !retired)
    const criteria = { lastName: this.#lastName }
    const answer = await this.#call('search', 'POST', '/patient/search?limit=200', criteria)
    if (answer?.status !== 200) return
    const ids: string[] = answer.body.map(({ id }: { id: string }) => id)
    this.#disclosed('search', answer, ids)
    if (answer.headers.link) return
    const missing = known.filter(({ id }) => !ids.includes(id))
    for (const { id } of missing) this.#journal.findings.push(`(a) patient ${id} was not found by a search`)
  }

  async #listTests (patient: Known) {
    const answer = await this.#call('listTests', 'GET', `/patient/${patient.id}/tests?limit=200`)
    if (answer?.status !== 200) return
    this.#disclosed('listTests', answer, answer.body.map(({ id }: { id: string }) => id))
  }

  async #remove (known: Known) {
    const answer = await this.#call(`remove ${known.type}`, 'DELETE', pathOf(known))
    const ended = known.patientId ? () => ABSENT : endedState(known.id)
    const affected = known.patientId ? [] : this.#tests
    this.#end(known, affected, answer?.status === 204, ended)
  }

  async #merge (from: Known, to: Known) {
    const answer = await this.#call('merge', 'POST', `/patient/${to.id}/merge`, { from: from.id }, {}, [409])
    const isDone = answer?.status === 200
    this.#end(from, this.#tests, isDone, movedState(from.id, to.id))
    if (isDone) {
      to.tag = tagOf(answer)
      to.versions.push(to.tag)
    } else {
      to.retired = true
    }
    for (const test of this.#tests) {
      if (test.patientId !== from.id) continue
      // Test results may be moved after the response
      test.retired = true
      if (isDone) test.patientId = to.id
    }
  }

  /** The end of a patient or test result, and what becomes of test results with it. */
  #end (known: Known, affected: Known[], isDone: boolean, next: (state: string) => string) {
    const changes: Array<[Known, (state: string) => string]> = [[known, () => ABSENT]]
    for (const test of affected) changes.push([test, next])
    for (const [each, change] of changes) {
      if (![...each.allowed].some((state) => change(state) !== state)) continue
      if (isDone) each.became(change)
      else each.mayBecome(change)
      if (each.possible.has(ABSENT)) each.retired = true
    }
  }

  async #moveTest (test: Known, to: Known) {
    const from = test.patientId!
    const path = `${pathOf(test)}/move`
    const answer = await this.#call('moveTest', 'POST', path, { patientId: to.id }, {}, [409])
    if (answer?.status !== 200) return test.mayBecome(movedState(from, to.id))
    test.became(movedState(from, to.id))
    test.patientId = to.id
    test.tag = tagOf(answer)
    test.versions.push(test.tag)
  }

  #disclosed (operation: string, { operationId }: Answer, ids: string[], version?: string) {
    this.#journal.disclosed.push({ operation, operationId, ids, version, at: Date.now() })
  }

  /** One request: its response, or nothing where none came. `excused` are refusals that may be right. */
  async #call (
    operation: string,
    method: Method,
    path: string,
    payload?: object,
    headers: Headers = {},
    excused: number[] = []
  ): Promise<Answer | undefined> {
    const operationId = randomBytes(16).toString('hex')
    const journal = this.#journal
    try {
      const response = await this.#pool.request({
        method,
        path,
        body: payload && JSON.stringify(payload),
        headers: {
          'ocp-apim-subscription-key': this.#key,
          traceparent: `00-${operationId}-${randomBytes(8).toString('hex')}-01`,
          ...headers
        },
        signal: AbortSignal.timeout(ANSWER_MS)
      })
      const { statusCode: status, headers: fields } = response
      const text = await response.body.text()
      const answer = { status, headers: fields, body: text ? JSON.parse(text) : undefined, operationId }
      journal.count(operation, status)
      if (status >= 400 && status < 500 && WRITING.includes(method)) journal.refused.add(operationId)
      if (status < 300) journal.succeeded.add(operationId)
      else if (status === 503 ? !fields['retry-after'] : !excused.includes(status)) {
        journal.findings.push(`${operation} ${path} was answered ${status} (trace ${operationId})`)
      }
      return answer
    } catch {
      journal.unanswered++
      journal.count(operation, 'unanswered')
    }
  }
}

/** Whether a write was not applied, and will not be. */
function isRefused (answer: Answer | undefined) {
  return answer !== undefined && answer.status < 500
}

function pathOf ({ type, id, patientId }: Known) {
  return type === 'patient' ? `/patient/${id}` : `/patient/${patientId}/tests/${id}`
}

function tagOf ({ headers }: Answer) {
  return String(headers.etag).replaceAll('"', '')
}

function testOf (patientId: string, performer: string, orderReference: string) {
  return { patientId, performer, orderReference, conclusion: 'None' }
}

function patchOf ({ type }: Known, value: string) {
  return type === 'patient' ? { postCode: value } : { orderReference: value }
}

/** The state of a document, as a response or the database has it. */
export function stateOf ({ type }: Pick<Known, 'type'>, document: Record<string, any>) {
  return type === 'patient' ? document.postCode : testState(document.patientId, document.orderReference)
}
