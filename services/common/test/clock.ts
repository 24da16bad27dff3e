import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../secrets/secrets.ts'

/** A clock that stands still until a test moves it on. */
export function manualClock () {
  const start = Date.now()
  const sleepers = new Set<{ at: number, wake: () => void }>()
  let time = 0

  // Work that waits for nothing but promises is done by then
  const settle = async () => { for (let i = 0; i < 10; i++) await setImmediate() }

  const clock: Clock = {
    date: () => start + time,
    sleep: (ms, signal) => new Promise((resolve) => {
      const sleeper = { at: time + ms, wake: resolve }
      sleepers.add(sleeper)
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
  }

  /** Moves time on to when the next sleeper wakes, if that is not after `end`; false if there is none. */
  const wakeNext = (end: number) => {
    const [next] = [...sleepers].filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)
    if (!next) return false
    time = Math.max(time, next.at)
    sleepers.delete(next)
    next.wake()
    return true
  }

  return {
    ...clock,
    in: (ms: number) => new Date(start + time + ms),
    /** Moves time on by `ms`; who sleeps until then wakes in order, each at its time. */
    async advance (ms: number) {
      const end = time + ms
      do await settle()
      while (wakeNext(end))
      time = end
    },
    /** Moves time on until `work` is done, and returns its result. */
    async until<T> (work: Promise<T>) {
      const isPending = () => Promise.race([work.then(() => false), settle().then(() => true)])
      while (await isPending()) wakeNext(Infinity)
      return await work
    }
  }
}
