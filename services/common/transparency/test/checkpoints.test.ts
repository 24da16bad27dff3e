import { test } from 'tap'
import { formatCheckpoint, formatProof, parseCheckpoint, parseProof } from '../checkpoints.ts'
import { NoteError } from '../notes.ts'
import { formatTilePath, parseTilePath } from '../tiles.ts'
import { EMPTY_ROOT } from '../tree.ts'

test('a checkpoint is read as it was written', async (t) => {
  const checkpoint = { origin: 'example.org/register', size: 2 ** 40, root: EMPTY_ROOT }
  t.same(parseCheckpoint(formatCheckpoint(checkpoint)), checkpoint)
  for (const size of ['', '01', '-1', '1.0', '0x1', '9'.repeat(16)]) {
    t.throws(() => parseCheckpoint(`a\n${size}\n${EMPTY_ROOT.toString('base64')}\n`), NoteError)
  }
  for (const root of ['', 'AAAA', `${EMPTY_ROOT.toString('base64')}=`]) {
    t.throws(() => parseCheckpoint(`a\n1\n${root}\n`), NoteError)
  }
  t.throws(() => parseCheckpoint(''), NoteError)
})

test('a proof is read as it was written', async (t) => {
  const proof = { index: 7, hashes: [EMPTY_ROOT, EMPTY_ROOT], checkpoint: 'text\n\n— a MTIzNDU=\n' }
  t.same(parseProof(formatProof(proof)), proof)
  t.same(parseProof(formatProof({ ...proof, hashes: [] })).hashes, [])
  t.throws(() => parseProof('index 7\n\ntext'), NoteError)
  t.throws(() => parseProof('c2sp.org/tlog-proof@v1\n7\n\ntext'), NoteError)
})

test('a tile has one path', async (t) => {
  const paths = ['0/000', '0/001.p/1', '1/x001/x234/067', '63/x999/999.p/255', 'entries/x001/000']
  for (const path of paths) t.equal(formatTilePath(parseTilePath(path)!), path)
  t.same(parseTilePath('1/x001/x234/067.p/8'), { level: 1, index: 1_234_067, width: 8 })
  const others = [
    '', '0', '0/1', '0/1000', '0/x000/001', '0/x001', '00/001', '64/000', '0/001.p/0', '0/001.p/01',
    '0/001.p/256', 'tile/000', '0/001/', '-1/000'
  ]
  for (const path of others) t.equal(parseTilePath(path), undefined, path)
})
