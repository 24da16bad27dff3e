import { setImmediate as nextTurn } from 'node:timers/promises'
import { CommandError } from '../errors.ts'

/** How long a command runs before it lets other clients' commands run, in milliseconds. */
const slice = 10
const run = 2000

/** The time of one command: it divides long work into slices and ends it once `maxTimeMS` is over. */
export class Clock {
  #pauseAt = 0
  #deadline = 0

  /** 0 or undefined for no limit. */
  constructor (maxTimeMS: number | undefined) {
    this.restart(maxTimeMS)
  }

  /** Begins the time of a further command on the same work. */
  restart (maxTimeMS: number | undefined): void {
    this.#pauseAt = performance.now() + slice
    this.#deadline = maxTimeMS ? performance.now() + maxTimeMS : Infinity
  }

  /** Whether the slice is over: then the work calls `pause`. */
  get due (): boolean {
    return performance.now() >= this.#pauseAt
  }

  /** Lets others run. Throws MaxTimeMSExpired. */
  async pause (): Promise<void> {
    this.check()
    await nextTurn()
    this.check()
    this.#pauseAt = performance.now() + slice
  }

  /** Throws MaxTimeMSExpired. */
  check (): void {
    if (performance.now() > this.#deadline) {
      throw new CommandError('MaxTimeMSExpired', 'operation exceeded time limit')
    }
  }

  /** Sorts as Array.sort does, in slices: sorted runs, merged in pairs. */
  async sort<T> (items: T[], order: (a: T, b: T) => number): Promise<T[]> {
    let runs: T[][] = []
    for (let at = 0; at < items.length; at += run) {
      runs.push(items.slice(at, at + run).sort(order))
      if (this.due) await this.pause()
    }
    while (runs.length > 1) {
      const merged: T[][] = []
      for (let i = 0; i < runs.length; i += 2) {
        merged.push(await this.#merge(runs[i]!, runs[i + 1] ?? [], order))
      }
      runs = merged
    }
    return runs[0] ?? []
  }

  async #merge<T> (left: T[], right: T[], order: (a: T, b: T) => number): Promise<T[]> {
    const out: T[] = []
    let i = 0
    let j = 0
    while (i < left.length || j < right.length) {
      const takeLeft = j >= right.length || (i < left.length && order(left[i]!, right[j]!) <= 0)
      out.push(takeLeft ? left[i++]! : right[j++]!)
      if (out.length % 500 === 0 && this.due) await this.pause()
    }
    return out
  }
}
