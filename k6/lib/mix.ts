import { sleep } from 'k6'
import exec from 'k6/execution'
import { call, json, routes } from './client.ts'
import * as operations from './operations.ts'
import type { Own } from './operations.ts'

type Operation = (own: Own) => void

/** `tenth` replaces `usual` in one of ten rounds. */
interface Step {
  usual: Operation
  tenth?: Operation
}

export const mix: Step[] = [
  { usual: operations.echo },
  { usual: operations.createPatient, tenth: operations.createInvalidPatient },
  { usual: operations.loadPatient, tenth: operations.loadUnknownPatient },
  { usual: operations.updatePatient },
  { usual: operations.searchById },
  { usual: operations.searchAll },
  { usual: operations.createTest, tenth: operations.createInvalidTest },
  { usual: operations.loadTests, tenth: operations.loadTestsOfUnknownPatient },
  { usual: operations.loadTest, tenth: operations.loadUnknownTest }
]

/** Operations whose results must survive a rotation of the data key. */
export const sealed: Step[] = [{ usual: operations.createOnce }, { usual: operations.nextPage }]

export interface Run {
  /** The last name of all patients of this run. */
  lastName: string
}

/** Starts a run without sending a request. */
export const begin = (): Run => ({ lastName: `Load-${crypto.randomUUID()}` })

/** Starts a run. @throws if the gateway does not answer or refuses the key */
export function reach () {
  const { status, error } = call('GET', routes.echo, { query: '?param1=sample' })
  const problem = status === 0 ? `does not answer: ${error}` : `answers ${status}`
  if (status !== 200) throw new Error(`the gateway at BASE_URL ${problem}`)
  return begin()
}

/** One operation of the mix, in turn within a scenario, so that short runs have the right shares too. */
export const operate = turns(mix)

/** The same, including the operations that use the data key. */
export const operateSealed = turns([...mix, ...sealed])

/** Think time, then one operation: users who all started with an operation would cause a spike. */
export function use (run: Run) {
  sleep(1 + 4 * Math.random())
  operate(run)
}

function turns (steps: Step[]) {
  let own: Own | undefined
  return ({ lastName }: Run) => {
    // The first operation of a user
    if (!own) {
      own = operations.store(lastName)
      return
    }
    const turn = exec.scenario.iterationInTest
    const { usual, tenth = usual } = steps[turn % steps.length]!
    const round = Math.floor(turn / steps.length)
    // Spread over the rounds
    const isTenth = (round + turn % steps.length) % 10 === 9
    ;(isTenth ? tenth : usual)(own)
  }
}

/** Deletes the patients of the run, with their test results. */
export function cleanUp ({ lastName }: Run) {
  for (;;) {
    const found = call('POST', routes.search, { query: '?limit=200', body: { lastName } })
    if (found.status !== 200) return
    const patients = json(found) as Array<{ id: string }>
    for (const { id } of patients) {
      if (call('DELETE', routes.patient, { ids: { patientId: id }, expected: 204 }).status !== 204) return
    }
    if (patients.length < 200) return
  }
}
