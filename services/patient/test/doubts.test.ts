import { test, type Test } from 'tap'
import pino from 'pino'
import { Doubts } from '../reconciler/doubts.ts'
import type { AttemptToFind, Found } from '../reconciler/evidence.ts'

const log = pino({ level: 'silent' })
const attempt = (id: string): AttemptToFind =>
  ({ id, resource: { type: 'patient', id, operation: 'update' }, createdDate: new Date().toISOString() })

/** Doubts of which each look finds the next of `results`. */
function start (t: Test, ...results: Array<Found | Error>) {
  // Timers of doubts keep no process running
  const running = setInterval(() => {}, 1_000)
  t.teardown(() => clearInterval(running))
  const looks: string[] = []
  const doubts = new Doubts(async ({ id }) => {
    looks.push(id)
    const found = results.shift()!
    if (found instanceof Error) throw found
    return found
  }, log, 1)
  return { doubts, looks }
}

test('a write that is there has succeeded', async (t) => {
  const { doubts, looks } = start(t, 'success')
  await new Promise<void>((resolve) => doubts.add([attempt('a')], resolve))
  t.same(looks, ['a'])
  await doubts.close()
})

test('a write that is not there is looked for once', async (t) => {
  const { doubts, looks } = start(t, 'failure', 'success')
  doubts.add([attempt('a')], () => t.fail('it was not there'))
  await new Promise<void>((resolve) => doubts.add([attempt('b')], resolve))
  await doubts.close()
  t.same(looks, ['a', 'b'])
})

test('a write is looked for until the database says what became of it', async (t) => {
  const { doubts, looks } = start(t, new Error('away'), 'in progress', 'success')
  await new Promise<void>((resolve) => doubts.add([attempt('a')], resolve))
  t.same(looks, ['a', 'a', 'a'])
  await doubts.close()
})

test('both records of a move or merge have the outcome of one', async (t) => {
  const { doubts } = start(t, 'failure', 'success')
  await new Promise<void>((resolve) => doubts.add([attempt('a'), attempt('b')], resolve))
  await doubts.close()
})

test('closing looks once more, and nothing is added after it', async (t) => {
  const { doubts, looks } = start(t, 'failure')
  doubts.add([attempt('a')], () => t.fail('it was not there'))
  await doubts.close()
  doubts.add([attempt('b')], () => t.fail('it was not looked for'))
  t.same(looks, ['a'])
})
