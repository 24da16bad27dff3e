import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { StartError } from '../../system/state.ts'
import { findInputs, piecesOf } from '../inputs.ts'
import { pieces, type Piece } from '../pieces.ts'
import { keyOf, resourcesIn } from '../resources.ts'

const ada = '{"resourceType":"Patient","id":"1","name":[{"text":"Ada \\"L\\\\\\" {[ Žofie"}]}'
const hb = '{"resourceType":"Observation","id":"2","valueQuantity":{"value":7.20},' +
  '"subject":{"reference":"Patient/1"}}'
const bundle = { resourceType: 'Bundle', type: 'collection' }

async function * chunksOf (content: string | Buffer, size: number) {
  const bytes = Buffer.from(content)
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

async function read (content: string | Buffer, size = 64) {
  const found: Piece[] = []
  for await (const piece of pieces(chunksOf(content, size), 'in')) found.push(piece)
  return found
}

const resources = (found: Piece[]) => found.flatMap((piece) => [...resourcesIn(piece)])

for (const size of [1, 2, 3, 7, 1_000]) {
  t.test(`lines are read from chunks of ${size} bytes`, async (t) => {
    const expected = [{ text: ada, place: 'in:1' }, { text: hb, place: 'in:3' }]
    t.strictSame(await read(`${ada}\n\n${hb}\n`, size), expected)
    t.strictSame(await read(`${ada}\n \n${hb}`, size), expected, 'without a last line feed')
    const marked = `\ufeff${ada}\r\n\r\n${hb}\r\n`
    t.strictSame(await read(marked, size), expected, 'with a byte order mark and CRLF')
  })

  t.test(`a Bundle of several lines is read from chunks of ${size} bytes`, async (t) => {
    const entry = [{ fullUrl: 'urn:uuid:1', resource: JSON.parse(ada) }, { resource: JSON.parse(hb) }]
    const text = JSON.stringify({ ...bundle, entry, total: 2 }, null, 2)
    const found = await read(text, size)
    t.equal(found.length, 3, 'each entry is a piece')
    t.strictSame(resources(found).map((one) => 'type' in one && [one.type, one.id, one.url]), [
      ['Patient', '1', 'urn:uuid:1'], ['Observation', '2', undefined]
    ])
  })
}

t.test('a Bundle in one line, within another', async (t) => {
  const inner = { ...bundle, entry: [{ resource: { resourceType: 'Patient', id: '1' } }] }
  const entry = [{ resource: inner }, { fullUrl: 'urn:uuid:2', resource: { resourceType: 'Patient' } }]
  const text = JSON.stringify({ ...bundle, entry })
  t.match(resources(await read(text)), [{ id: '1' }, { id: 'urn:uuid:2' }])
  t.strictSame(resources(await read('{"resourceType":"Bundle"}')), [], 'an empty one')
})

t.test('a list of resources, and one resource of several lines', async (t) => {
  t.match(resources(await read(`[\n${ada},\n${hb}\n]`)), [{ id: '1' }, { id: '2' }])
  t.match(resources(await read(JSON.stringify(JSON.parse(ada), null, 2))), [{ id: '1' }])
})

t.test('numbers keep their digits', async (t) => {
  const inBundle = `{"resourceType":"Bundle","entry":[{"resource":${hb}}]}`
  for (const text of [hb, inBundle, `[${hb}]`]) {
    const [found] = resources(await read(text))
    t.match(found && 'json' in found && found.json, '"value":7.20')
  }
})

t.test('broken lines are named, and others are read', async (t) => {
  const found = resources(await read(Buffer.concat([
    Buffer.from(`${ada}\n{"resourceType":"Patient"\n`), Buffer.from([0x22, 0xff, 0x0a]),
    Buffer.from(`{"resourceType":"Patient","id":"3","id":"4"}\n17\n{"a":1}\n${hb}`)
  ])))
  t.match(found, [
    { id: '1' },
    { place: 'in:2', message: 'is not JSON' },
    { place: 'in:3', message: 'is not UTF-8, or larger than 64 MiB' },
    { place: 'in:4', message: 'has a property twice' },
    { place: 'in:5', message: 'has no resource and no patient' },
    { place: 'in:6', message: 'has no resource and no patient' },
    { id: '2' }
  ])
  t.equal(found.length, 7)
})

t.test('a document that ends too early is refused', async (t) => {
  const text = JSON.stringify({ ...bundle, entry: [{ resource: JSON.parse(ada) }, {}] }, null, 2)
  const found = resources(await read(text.slice(0, -8)))
  t.match(found, [{ id: '1' }, { message: 'is not JSON' }])
})

t.test('our own format', async (t) => {
  const line = '{"patient":{"id":"7","lastName":"A","gender":"other"},' +
    '"tests":[{"id":"x","conclusion":"B"},{"observations":[{"value":{"number":1.0}}]}]}'
  const place = 'in:1'
  t.strictSame(resources(await read(line)), [
    { type: 'patient', id: '7', json: '{"lastName":"A","gender":"other"}', place: 'in:1' },
    { type: 'test', id: '7/x', subject: '7', json: '{"conclusion":"B"}', place: 'in:1' },
    {
      type: 'test', id: '7/1', subject: '7', json: '{"observations":[{"value":{"number":1.0}}]}', place
    }
  ])
  const [one, other] = resources(await read('{"patient":{"lastName":"A"}}\n{"patient":{"lastName":"B"}}'))
  t.notSame(one, other, 'without an id, the content identifies the patient')
  t.match(resources(await read('{"patient":{},"photo":1}')), [{ message: /nothing else/ }])
})

t.test('folders', async (t) => {
  const dir = t.testdir({ 'b.json': hb, 'a.ndjson': ada, 'c.txt': 'x', empty: {} })
  mkdirSync(join(dir, 'd.json'))
  const found: Piece[] = []
  for (const input of findInputs([dir])) for await (const piece of piecesOf(input)) found.push(piece)
  t.strictSame(found.map(({ place }) => place), ['a.ndjson:1', 'b.json:1'])
  t.throws(() => findInputs([join(dir, 'empty')]), StartError)
  t.throws(() => findInputs([join(dir, 'none')]), { message: /cannot be read \(ENOENT\)/ })
})

t.test('the bytes that are read are counted', async (t) => {
  const file = join(t.testdir(), 'a.ndjson')
  writeFileSync(file, `${ada}\n`.repeat(5_000))
  let bytes = 0
  const found: Piece[] = []
  for await (const piece of piecesOf(findInputs([file])[0]!, (count) => { bytes += count })) found.push(piece)
  t.equal(found.length, 5_000)
  t.equal(bytes, findInputs([file])[0]!.bytes)
})

t.test('keys are UUIDs made from ids', async (t) => {
  t.match(keyOf('', 'Patient', '1', 'patient'), /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  t.equal(keyOf('', 'Patient', '1', 'patient'), keyOf('', 'Patient', '1', 'patient'))
  t.not(keyOf('', 'Patient', '1', 'patient'), keyOf('a', 'Patient', '1', 'patient'))
})
