import { keyOf } from '../bson/keys.ts'
import type { Value } from '../bson/values.ts'

/** A stretch of ascending keys of one path. */
export interface Interval {
  lo: Buffer
  includesLo: boolean
  hi: Buffer
  includesHi: boolean
}

export const everything: Interval = {
  lo: Buffer.from([0]), includesLo: true, hi: Buffer.from([0xff]), includesHi: false
}

export function isPoint ({ lo, includesLo, hi, includesHi }: Interval): boolean {
  return includesLo && includesHi && lo.equals(hi)
}

export function point (value: Value): Interval {
  const key = keyOf(value)
  return { lo: key, includesLo: true, hi: key, includesHi: true }
}

function compareLo (a: Interval, b: Interval): number {
  return Buffer.compare(a.lo, b.lo) || Number(b.includesLo) - Number(a.includesLo)
}

function compareHi (a: Interval, b: Interval): number {
  return Buffer.compare(a.hi, b.hi) || Number(a.includesHi) - Number(b.includesHi)
}

function isEmpty ({ lo, includesLo, hi, includesHi }: Interval): boolean {
  const order = Buffer.compare(lo, hi)
  return order > 0 || (order === 0 && !(includesLo && includesHi))
}

export function contains ({ lo, includesLo, hi, includesHi }: Interval, key: Buffer): boolean {
  const [fromLo, toHi] = [Buffer.compare(key, lo), Buffer.compare(hi, key)]
  return (fromLo > 0 || (includesLo && fromLo === 0)) && (toHi > 0 || (includesHi && toHi === 0))
}

/** The intervals in order, those that overlap or touch made one. */
export function union (intervals: Interval[]): Interval[] {
  const merged: Interval[] = []
  for (const next of intervals.filter((interval) => !isEmpty(interval)).sort(compareLo)) {
    const last = merged.at(-1)
    const gap = last === undefined ? 1 : Buffer.compare(next.lo, last.hi)
    if (gap > 0 || (gap === 0 && !next.includesLo && !last!.includesHi)) merged.push(next)
    else if (compareHi(next, last!) > 0) {
      merged[merged.length - 1] = { ...last!, hi: next.hi, includesHi: next.includesHi }
    }
  }
  return merged
}

export function intersection (left: Interval[], right: Interval[]): Interval[] {
  return union(left.flatMap((a) => right.map((b) => {
    const from = compareLo(a, b) >= 0 ? a : b
    const to = compareHi(a, b) <= 0 ? a : b
    return { lo: from.lo, includesLo: from.includesLo, hi: to.hi, includesHi: to.includesHi }
  })))
}
