/** Numbers that follow from a seed alone (mulberry32), so that whatever is drawn can be repeated. */
export class Random {
  #state: number

  constructor (seed: number) {
    this.#state = seed >>> 0
  }

  /** A number from 0 up to 1. */
  next () {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ this.#state >>> 15, this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ mixed >>> 7, mixed | 61)
    return ((mixed ^ mixed >>> 14) >>> 0) / 2 ** 32
  }

  chance (probability: number) {
    return this.next() < probability
  }

  /** An integer from `from` up to and without `to`. */
  between (from: number, to: number) {
    return from + Math.floor(this.next() * (to - from))
  }

  pick<T> (items: readonly T[]): T {
    return items[this.between(0, items.length)]!
  }

  /** A key of `weights`, as often as its weight says. */
  weighted<K extends string> (weights: Record<K, number>): K {
    const entries = Object.entries<number>(weights) as Array<[K, number]>
    let left = this.next() * entries.reduce((sum, [, weight]) => sum + weight, 0)
    for (const [key, weight] of entries) {
      left -= weight
      if (left < 0) return key
    }
    return entries[0]![0]
  }
}
