import { setTimeout as sleep } from 'node:timers/promises'

/** Begins work at an even rate for `ms`, whether or not what was begun has ended; answers all of it. */
export async function atRate<T> (perSecond: number, ms: number, work: (i: number) => Promise<T>) {
  const begun: Array<Promise<T>> = []
  const began = performance.now()
  for (let elapsed = 0; elapsed < ms; elapsed = performance.now() - began) {
    while (begun.length < elapsed * perSecond / 1_000) begun.push(work(begun.length))
    await sleep(2)
  }
  return begun
}
