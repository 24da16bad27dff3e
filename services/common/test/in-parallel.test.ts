import { test } from 'tap'
import { inParallel } from '../in-parallel.ts'

/** Work on items that ends when the test says so, in the order in which it began. */
function controlled () {
  const running: Array<PromiseWithResolvers<number> & { item: number }> = []
  const work = (item: number) => {
    const one = { item, ...Promise.withResolvers<number>() }
    running.push(one)
    return one.promise
  }
  return { running, work }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

test('at most so many items are worked on at a time', async (t) => {
  const { running, work } = controlled()
  const done = inParallel([1, 2, 3], work, { limit: 2 })
  t.same(running.map(({ item }) => item), [1, 2])
  running[1]!.resolve(20)
  await turn()
  t.same(running.map(({ item }) => item), [1, 2, 3])
  running[2]!.resolve(30)
  running[0]!.resolve(10)
  t.same((await done).sort(), [10, 20, 30])
})

test('after a failure no item is begun, and the running ones are awaited', async (t) => {
  const { running, work } = controlled()
  let isOver = false
  const done = inParallel([1, 2, 3], work, { limit: 2 }).finally(() => { isOver = true })
  running[0]!.reject(new Error('first'))
  await turn()
  t.notOk(isOver)
  running[1]!.reject(new Error('second'))
  await t.rejects(done, { message: 'first' })
  t.equal(running.length, 2)
})

test('a signal ends the work', async (t) => {
  const { running, work } = controlled()
  const abort = new AbortController()
  const done = inParallel([1, 2], work, { limit: 1, signal: abort.signal })
  abort.abort()
  running[0]!.resolve(10)
  t.same(await done, [10])
})
