import { test, type Test } from 'tap'
import pino from 'pino'
import { Doubts } from '../reconciler/doubts.ts'
import type { AttemptToFind, Found } from '../reconciler/evidence.ts'

const log = pino({ level: 'silent' })
const attempt = (id: string): AttemptToFind =>
  ({ id, resource: { type: 'patient', id, operation: 'update' }, createdDate: new Date().toISOString() })

/** Doubts of which each look, `checkMs` after it was added, finds the next of `results`. */
function start (t: Test, results: Array<Found | Error>, checkMs = 1) {
  // Timers of doubts keep no process running
  const running = setInterval(() => {}, 1_000)
  t.teardown(() => clearInterval(running))
  const looks: string[] = []
  const doubts = new Doubts(async ({ id }) => {
    looks.push(id)
    const found = results.shift()!
    if (found instanceof Error) throw found
    return found
  }, log, checkMs)
  return { doubts, looks }
}

const outcomeOf = (doubts: Doubts, ...ids: string[]) =>
  new Promise<string>((resolve) => doubts.add(ids.map(attempt), resolve))

test('a write that is there has succeeded', async (t) => {
  const { doubts, looks } = start(t, ['success'])
  t.equal(await outcomeOf(doubts, 'a'), 'success')
  t.same(looks, ['a'])
  await doubts.close()
})

test('a write that is not there is looked for once', async (t) => {
  const { doubts, looks } = start(t, ['failure', 'success'])
  const first = outcomeOf(doubts, 'a')
  t.equal(await outcomeOf(doubts, 'b'), 'success')
  t.equal(await first, 'failure')
  await doubts.close()
  t.same(looks, ['a', 'b'])
})

test('a write is looked for until the database says what became of it', async (t) => {
  const { doubts, looks } = start(t, [new Error('away'), 'in progress', 'success'])
  t.equal(await outcomeOf(doubts, 'a'), 'success')
  t.same(looks, ['a', 'a', 'a'])
  await doubts.close()
})

test('both records of a move or merge have the outcome of one', async (t) => {
  const { doubts } = start(t, ['failure', 'success'])
  t.equal(await outcomeOf(doubts, 'a', 'b'), 'success')
  await doubts.close()
})

test('a write that is looked for twice at once is found once', async (t) => {
  const { promise: mayAnswer, resolve: answer } = Promise.withResolvers<void>()
  const { promise: looks, resolve: look } = Promise.withResolvers<void>()
  const running = setInterval(() => {}, 1_000)
  t.teardown(() => clearInterval(running))
  const doubts = new Doubts(async ({ id }) => {
    look()
    if (id === 'a') await mayAnswer
    return 'success'
  }, log, 1)
  const found: string[] = []
  doubts.add([attempt('a')], () => found.push('a'))
  doubts.add([attempt('b')], () => found.push('b'))
  await looks
  const closed = doubts.close()
  answer()
  await closed
  t.strictSame(found, ['a', 'b'])
})

test('closing looks once more, and nothing is added after it', async (t) => {
  const { doubts, looks } = start(t, ['failure', 'success', 'failure'], 60_000)
  doubts.add([attempt('a')], () => t.fail('it may still come, so another process looks for it'))
  const second = outcomeOf(doubts, 'b')
  await doubts.close()
  t.equal(await second, 'success')
  doubts.add([attempt('c')], () => t.fail('it was not looked for'))
  await doubts.close()
  t.same(looks, ['a', 'b', 'a'])
})
