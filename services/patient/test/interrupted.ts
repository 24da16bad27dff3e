import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'
import { ada, observation, patient } from './app.ts'

type Running = Awaited<ReturnType<typeof patient>>

interface Interruption {
  request (): Promise<unknown>
  check (): Promise<unknown>
}

const COMMANDS = ['find', 'insert', 'update', 'delete']
/** Every command with FULL=1, else every third: each interrupts the same code somewhere else. */
const STEP = process.env.FULL ? 1 : 3
/** How often what may happen in any order is raced. */
export const ROUNDS = process.env.FULL ? 15 : 5
/** An error that is not retried. */
const OPERATION_FAILED = 96

/**
 * Has the database refuse all commands from the first one of `request` on, then from a later one on, and so
 * on until the request needs no more, as if its process had ended between two commands. Each time, a sweep
 * follows, as after a restart, and then `check`. Returns how many commands the request needs, or up to two
 * more.
 */
export async function interruptEverywhere (
  { app, db, failCommand }: Pick<Running, 'app' | 'db' | 'failCommand'>,
  prepare: () => Promise<Interruption>
) {
  for (let commands = 0; ; commands += STEP) {
    const { request, check } = await prepare()
    const before = await entered('off')
    await failCommand({ skip: commands }, { failCommands: COMMANDS, errorCode: OPERATION_FAILED })
    await request()
    const isInterrupted = await entered('off') > before
    await app.sweep.run()
    await allMoved({ db })
    await check()
    if (!isInterrupted) return commands
  }

  async function entered (mode: string): Promise<number> {
    return (await failCommand(mode, {})).count
  }
}

/** Fulfilled when no test result has to be moved any more. */
export async function allMoved ({ db }: Pick<Running, 'db'>) {
  for (const giveUp = Date.now() + 60_000; Date.now() < giveUp; await sleep(20)) {
    if (await db.collection('transfers').countDocuments({ open: true }) === 0) return
  }
  throw new Error('not moved')
}

/** The tests of moves and merges: two patients, the first with test results that were changed once. */
export async function twoPatients (t: Test, count = 1, running?: Running) {
  const { call, ...rest } = running ?? await patient(t)
  const create = async (changes: object = {}) =>
    (await call('POST', '/patient', { ...ada, ...changes })).json().id as string
  const [from, to] = [await create({ firstName: 'A' }), await create({ firstName: 'B' })]
  const tests = []
  for (let i = 0; i < count; i++) {
    const body = { performer: 'first', observations: [observation] }
    const made = await call('POST', `/patient/${from}/tests`, body)
    const path = made.headers.location as string
    const changed = await call('PATCH', path, { performer: 'second' })
    const versions = [made, changed].map(({ headers }) => JSON.parse(headers.etag as string) as string)
    tests.push({ id: made.json().id as string, path, versions })
  }
  return { ...rest, call, from, to, tests }
}
