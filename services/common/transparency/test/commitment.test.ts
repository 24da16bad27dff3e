import { createHash } from 'node:crypto'
import { Binary } from 'mongodb'
import { test } from 'tap'
import { commitmentOf } from '../commitment.ts'
import { rangeOf, rangesOf } from '../documents.ts'

const record = {
  sourceSystemName: 'é',
  resource: { type: 'patient', operation: 'load', id: undefined },
  seq: 7,
  operationId: 'o',
  id: 'i',
  createdDate: new Date(0)
}
const json = '{"createdDate":"1970-01-01T00:00:00.000Z","id":"i","operationId":"o",' +
  '"resource":{"operation":"load","type":"patient"},"seq":7,"sourceSystemName":"é"}'

test('a commitment is the hash of the salt and of canonical JSON', async (t) => {
  const salt = Buffer.from('0123456789abcdef')
  const expected = createHash('sha256').update(salt).update(json).digest()
  t.same(commitmentOf({ ...record, salt: new Binary(salt) }), expected)
  t.same(commitmentOf(record), createHash('sha256').update(json).digest())
})

test('a span touches the ranges of all its records', async (t) => {
  for (const [from, to] of [[1, 1], [1, 256], [1, 257], [256, 257], [200, 1_000], [513, 512]] as const) {
    const expected = new Set<string>()
    for (let seq = from; seq <= to; seq++) expected.add(rangeOf('c', seq))
    t.same(rangesOf([{ chain: 'c', from, to }]), [...expected], `${from} to ${to}`)
  }
})
