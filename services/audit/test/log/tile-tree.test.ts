import { test } from 'tap'
import {
  inclusionProof, leafHash, rootOfInclusion, rootOfRange, sha256, TreeBuilder
} from '../../../common/transparency/tree.ts'
import { tileNodes, TileTree, type ReadTile } from '../../log/tile-tree.ts'

const entry = (i: number) => sha256(Buffer.from(String(i)))

test('a tree continues from its tiles, and they hold every node', async (t) => {
  const tiles = new Map<string, Buffer>()
  let reads = 0
  const readTile: ReadTile = async (level, index, width) => {
    reads++
    const data = tiles.get(`${level}/${index}`)
    return data && data.length >= width * 32 ? data.subarray(0, width * 32) : undefined
  }
  const expected = new TreeBuilder()
  let tree = new TileTree()
  for (const size of [0, 1, 2, 255, 256, 257, 511, 512, 70_000]) {
    while (tree.size < size) {
      expected.append(leafHash(entry(tree.size)))
      tree.append(entry(tree.size))
    }
    for (const { level, index, data } of tree.takeTiles()) tiles.set(`${level}/${index}`, data)
    t.same(tree.takeTiles(), [], 'each change is taken once')
    t.same(await tree.root(), expected.root, `the root of ${size}`)
    t.same(await rootOfRange(0, size, tileNodes(size, readTile)), expected.root)
    tree = await TileTree.load(size, readTile)
  }
  for (const index of [0, 255, 256, 65_535, 65_536, 69_999]) {
    reads = 0
    const proof = await inclusionProof(index, 70_000, tileNodes(70_000, readTile))
    t.same(rootOfInclusion(index, 70_000, leafHash(entry(index)), proof), expected.root)
    t.ok(reads <= 6, `${reads} tiles read for entry ${index}`)
  }
  tiles.delete('1/0')
  await t.rejects(inclusionProof(69_999, 70_000, tileNodes(70_000, readTile)), { name: 'LogDamaged' })
})
