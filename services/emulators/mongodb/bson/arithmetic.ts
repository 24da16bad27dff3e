import { Decimal128, Double, Int32, Long } from 'bson'
import type { Value } from './bson.ts'
import { toNumber } from './bson.ts'

const longMin = -(1n << 63n)
const longMax = (1n << 63n) - 1n

function decimalParts (value: Value): [bigint, number] | undefined {
  const text: string = value._bsontype === 'Double' ? Number(value.value.toPrecision(15)).toString() : value.toString()
  const match = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text)
  if (match === null) return undefined
  const fraction = match[3] ?? ''
  return [BigInt(match[1]! + match[2]! + fraction), Number(match[4] ?? 0) - fraction.length]
}

function decimal (op: '+' | '*', a: Value, b: Value): Decimal128 {
  const x = decimalParts(a)
  const y = decimalParts(b)
  if (x === undefined || y === undefined) {
    const number = op === '+' ? toNumber(a)! + toNumber(b)! : toNumber(a)! * toNumber(b)!
    return Decimal128.fromString(String(number))
  }
  if (op === '*') return Decimal128.fromStringWithRounding(`${x[0] * y[0]}E${x[1] + y[1]}`)
  const exponent = Math.min(x[1], y[1])
  const sum = x[0] * 10n ** BigInt(x[1] - exponent) + y[0] * 10n ** BigInt(y[1] - exponent)
  return Decimal128.fromStringWithRounding(`${sum}E${exponent}`)
}

const exact = (value: Value): Value => typeof value === 'number' ? (Number.isInteger(value) && Math.abs(value) <= 0x7fffffff ? new Int32(value) : new Double(value)) : value

/** Adds or multiplies two BSON numbers in the wider of their types; undefined if a long overflows. */
export function arithmetic (op: '+' | '*', left: Value, right: Value): Value {
  const a = exact(left)
  const b = exact(right)
  if (a._bsontype === 'Decimal128' || b._bsontype === 'Decimal128') return decimal(op, a, b)
  if (a._bsontype === 'Double' || b._bsontype === 'Double') return new Double(op === '+' ? toNumber(a)! + toNumber(b)! : toNumber(a)! * toNumber(b)!)
  const x = a._bsontype === 'Long' ? a.toBigInt() : BigInt(a.value)
  const y = b._bsontype === 'Long' ? b.toBigInt() : BigInt(b.value)
  const result = op === '+' ? x + y : x * y
  if (a._bsontype === 'Int32' && b._bsontype === 'Int32' && result >= -0x80000000n && result <= 0x7fffffffn) return new Int32(Number(result))
  return result < longMin || result > longMax ? undefined : Long.fromBigInt(result)
}
