import { Binary, Double, Int32, Long, ObjectId } from 'bson'
import { test } from 'tap'
import { compare, documentKeys, invert, keyOf, keyParts } from '../bson/keys.ts'
import type { Doc, Value } from '../bson/values.ts'

// https://www.mongodb.com/docs/manual/reference/bson-type-comparison-order/
const ascending: Value[][] = [
  [undefined],
  [null],
  [new Double(NaN)],
  [new Double(-Infinity)],
  [new Double(-9007199254740992)],
  [Long.fromNumber(Number.MIN_SAFE_INTEGER), new Double(Number.MIN_SAFE_INTEGER)],
  [new Int32(-5), new Double(-5), Long.fromNumber(-5)],
  [new Int32(0), new Double(-0), Long.ZERO],
  [new Double(0.1)],
  [new Double(0.30000000000000004)],
  [new Int32(1), new Double(1)],
  [new Double(1.5)],
  [new Int32(2)],
  [Long.fromNumber(Number.MAX_SAFE_INTEGER), new Double(Number.MAX_SAFE_INTEGER)],
  [new Double(9007199254740992)],
  [new Double(2 ** 63)],
  [new Double(Infinity)],
  [''],
  ['\0'],
  ['A'],
  ['a'],
  ['a\0'],
  ['a\0b'],
  ['aa'],
  ['b'],
  ['é'],
  ['￿'],
  ['😀'],
  [{}],
  [{ a: 1 }],
  [{ a: 1, b: 1 }],
  [{ a: 2 }],
  [{ b: 1 }],
  [{ a: 'x' }],
  [[]],
  [[1]],
  [[1, 2]],
  [[2]],
  [['a']],
  [new Binary(Buffer.from([9]), 0)],
  [new Binary(Buffer.from([1, 2]), 0)],
  [new Binary(Buffer.from([1, 3]), 0)],
  [new Binary(Buffer.from([1, 2]), 4)],
  [new ObjectId('000000000000000000000001')],
  [new ObjectId('ff0000000000000000000000')],
  [false],
  [true],
  [new Date(-1)],
  [new Date(0)],
  [new Date(1)]
]

test('keys and the comparison have the order of BSON types and values', (t) => {
  for (const [i, same] of ascending.entries()) {
    for (const [j, others] of ascending.entries()) {
      for (const a of same) {
        for (const b of others) {
          const wanted = Math.sign(i - j)
          const told = `${i} ${String(a)} against ${j} ${String(b)}`
          if (Math.sign(Buffer.compare(keyOf(a), keyOf(b))) !== wanted) t.fail(`keys of ${told}`)
          if (Math.sign(compare(a, b)) !== wanted) t.fail(`comparison of ${told}`)
          // what follows in a compound key must not be reached by keys that differ, whichever way they run
          const down = [a, b].map(
            (value) => Buffer.concat([invert(keyOf(value)), Buffer.from([0x77])])
          ) as [Buffer, Buffer]
          if (Math.sign(Buffer.compare(...down)) !== -wanted || 0) {
            if (wanted !== 0 || !down[0].equals(down[1])) t.fail(`descending keys of ${told}`)
          }
        }
      }
    }
  }
  t.end()
})

test('random numbers of all types order as their values do', (t) => {
  const numbers: Array<[number, Value]> = []
  for (let i = 0; i < 400; i++) {
    const number = Math.floor((Math.random() - 0.5) * 2 ** Math.floor(Math.random() * 53))
    numbers.push([number, Long.fromNumber(number)], [number, new Double(number)])
    numbers.push([number / 8, new Double(number / 8)])
  }
  for (let i = 0; i < 20000; i++) {
    const [x, a] = numbers[Math.floor(Math.random() * numbers.length)]!
    const [y, b] = numbers[Math.floor(Math.random() * numbers.length)]!
    const wanted = x < y ? -1 : x > y ? 1 : 0
    if (
      Math.sign(Buffer.compare(keyOf(a), keyOf(b))) !== wanted
    ) return t.fail(`${String(a)} against ${String(b)}`)
  }
  t.end()
})

test('an array gives one key for each distinct element', (t) => {
  const keys = (doc: Doc, pattern: Doc): number => documentKeys(doc, keyParts(pattern)).length
  t.equal(keys({ a: [1, 2, 2, 3] }, { a: 1 }), 3)
  t.equal(keys({ a: [] }, { a: 1 }), 1)
  t.equal(keys({ a: [{ b: 1, c: 1 }, { b: 2, c: 2 }] }, { 'a.b': 1, 'a.c': 1 }), 2)
  t.equal(keys({ a: [{ b: [1, 2] }, { b: [3] }] }, { 'a.b': 1 }), 3)
  t.same(documentKeys({ a: [] }, keyParts({ a: 1 })), [keyOf(undefined)])
  t.same(documentKeys({ a: [[1, 2]] }, keyParts({ a: 1 })), [keyOf([1, 2])])
  t.same(documentKeys({ a: [5, { b: 1 }] }, keyParts({ 'a.b': 1 })), [keyOf(null), keyOf(1)])
  t.throws(
    () => documentKeys({ a: [1], b: [2] }, keyParts({ a: 1, b: 1 })),
    { code: 171, message: 'cannot index parallel arrays [b] [a]' }
  )
  t.end()
})
