import { isDeepStrictEqual } from 'node:util'
import { test } from 'tap'
import {
  TreeBuilder, consistencyProof, inclusionProof, isConsistent, leafHash, nodeHash, rootOfInclusion,
  rootOfRange
} from '../tree.ts'

const SIZE = 70
const leaves = Array.from({ length: SIZE }, (_, i) => leafHash(Buffer.from(`${i}`)))
const nodes = new Map<string, Buffer>()
const getNode = async (level: number, index: number) => nodes.get(`${level}/${index}`)!
const builder = new TreeBuilder()
/** By size. */
const roots = [builder.root]
for (const leaf of leaves) {
  builder.append(leaf, (level, index, root) => nodes.set(`${level}/${index}`, root))
  roots.push(builder.root)
}
/** Each size with each smaller number. */
const pairs = roots.flatMap((_, size) => roots.slice(0, size).map((_, smaller) => [size, smaller] as const))
const other = leafHash(Buffer.from('other'))

test('a root is made of the largest complete subtree and the rest', async (t) => {
  t.equal(roots[0]!.toString('hex'), 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
  const [a, b, c] = leaves as [Buffer, Buffer, Buffer]
  t.same(roots[3], nodeHash(nodeHash(a, b), c))
  t.same(await Promise.all(roots.map((_, size) => rootOfRange(0, size, getNode))), roots)
})

test('a leaf is proved in each tree that has it, and no other leaf is', async (t) => {
  for (const [size, index] of pairs) {
    const leaf = leaves[index]!
    const proof = await inclusionProof(index, size, getNode)
    const isProved = (leaf: Buffer, proof: Buffer[]) =>
      isDeepStrictEqual(rootOfInclusion(index, size, leaf, proof), roots[size])
    if (!isProved(leaf, proof)) t.fail(`leaf ${index} of ${size} is not proved`)
    if (isProved(other, proof)) t.fail(`another leaf is proved as ${index} of ${size}`)
    if (isProved(leaf, [...proof, other])) t.fail(`a longer proof is accepted for ${index}`)
    if (size > 1 && isProved(leaf, proof.slice(1))) t.fail(`a shorter proof is accepted for ${index}`)
  }
  t.equal(rootOfInclusion(3, 3, leaves[0]!, []), undefined)
})

test('each tree extends each smaller one, and no other', async (t) => {
  for (const [size, smaller] of pairs) {
    const old = { size: smaller, root: roots[smaller]! }
    const head = { size, root: roots[size]! }
    const proof = await consistencyProof(smaller, size, getNode)
    if (!isConsistent(old, head, proof)) t.fail(`${size} does not extend ${smaller}`)
    if (isConsistent({ ...old, root: other }, head, proof)) t.fail(`${size} extends another tree`)
    if (isConsistent(old, head, [...proof, other])) t.fail(`a longer proof is accepted for ${smaller}`)
    // Any tree extends the empty one
    if (smaller > 0 && isConsistent(old, { size, root: other }, proof)) t.fail(`another tree of ${size}`)
  }
  t.ok(isConsistent({ size: 5, root: roots[5]! }, { size: 5, root: roots[5]! }, []))
  t.notOk(isConsistent({ size: 5, root: roots[5]! }, { size: 5, root: other }, []))
  t.notOk(isConsistent({ size: 2, root: roots[2]! }, { size: 1, root: roots[1]! }, []))
})
