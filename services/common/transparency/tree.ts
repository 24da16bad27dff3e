import { hash } from 'node:crypto'

/**
 * A Merkle tree as RFC 6962, section 2.1, defines it: SHA-256, leaves hashed with the prefix 0x00 and nodes
 * with 0x01. Sizes and indexes are integers below 2^53, so they are divided, not shifted.
 */

/** The root of the complete subtree over the 2^`level` leaves from `index` * 2^`level` on. */
export type GetNode = (level: number, index: number) => Promise<Buffer>

export const HASH_BYTES = 32

const LEAF = Buffer.of(0)
const NODE = Buffer.of(1)

export const sha256 = (...parts: Uint8Array[]) => hash('sha256', Buffer.concat(parts), 'buffer')
export const leafHash = (entry: Uint8Array) => sha256(LEAF, entry)
export const nodeHash = (left: Uint8Array, right: Uint8Array) => sha256(NODE, left, right)

/** The root of a tree without leaves. */
export const EMPTY_ROOT = sha256()

/** The hash of the leaves from `start` up to `end`: the root of the tree where they are all of its leaves. */
export async function rootOfRange (start: number, end: number, getNode: GetNode): Promise<Buffer> {
  const count = end - start
  if (count === 0) return EMPTY_ROOT
  const level = Math.round(Math.log2(count))
  if (2 ** level === count && start % count === 0) return await getNode(level, start / count)
  const middle = start + largestPowerBelow(count)
  return nodeHash(await rootOfRange(start, middle, getNode), await rootOfRange(middle, end, getNode))
}

/** The hashes that, with the leaf `index`, give the root of the tree of `size` leaves (RFC 6962, 2.1.1). */
export async function inclusionProof (index: number, size: number, getNode: GetNode) {
  const proof: Buffer[] = []
  for (let start = 0, end = size; end - start > 1;) {
    const middle = start + largestPowerBelow(end - start)
    if (index < middle) {
      proof.push(await rootOfRange(middle, end, getNode))
      end = middle
    } else {
      proof.push(await rootOfRange(start, middle, getNode))
      start = middle
    }
  }
  return proof.reverse()
}

/** The hashes that show that the tree of `size` leaves extends that of `oldSize` leaves (RFC 6962, 2.1.2). */
export async function consistencyProof (oldSize: number, size: number, getNode: GetNode) {
  const proof: Buffer[] = []
  if (oldSize === 0) return proof
  let start = 0
  let end = size
  while (end !== oldSize) {
    const middle = start + largestPowerBelow(end - start)
    if (oldSize <= middle) {
      proof.push(await rootOfRange(middle, end, getNode))
      end = middle
    } else {
      proof.push(await rootOfRange(start, middle, getNode))
      start = middle
    }
  }
  // The verifier knows the old root, which is this range where it starts at 0
  if (start > 0) proof.push(await rootOfRange(start, end, getNode))
  return proof.reverse()
}

/**
 * The root that an inclusion proof leads to (RFC 9162, 2.1.3.2), or undefined where the proof does not fit
 * `index` and `size`.
 */
export function rootOfInclusion (index: number, size: number, leaf: Uint8Array, proof: Uint8Array[]) {
  if (index < 0 || index >= size) return undefined
  let node = index
  let last = size - 1
  let root = leaf
  for (const sibling of proof) {
    if (last === 0) return undefined
    if (node % 2 === 1 || node === last) {
      root = nodeHash(sibling, root)
      for (; node % 2 === 0 && node > 0; node /= 2) last = half(last)
    } else {
      root = nodeHash(root, sibling)
    }
    node = half(node)
    last = half(last)
  }
  return last === 0 ? root : undefined
}

export interface TreeHead {
  size: number
  root: Uint8Array
}

/** Whether `proof` shows that the tree of `head` extends the one of `old` (RFC 9162, 2.1.4.2). */
export function isConsistent (old: TreeHead, head: TreeHead, proof: Uint8Array[]) {
  if (old.size > head.size) return false
  if (old.size === head.size) return proof.length === 0 && equal(old.root, head.root)
  if (old.size === 0) return proof.length === 0 && equal(old.root, EMPTY_ROOT)
  const hashes = isPower(old.size) ? [old.root, ...proof] : [...proof]
  let node = old.size - 1
  let last = head.size - 1
  for (; node % 2 === 1; node = half(node)) last = half(last)
  const [first, ...rest] = hashes
  if (!first) return false
  let oldRoot = first
  let root = first
  for (const hash of rest) {
    if (last === 0) return false
    if (node % 2 === 1 || node === last) {
      oldRoot = nodeHash(hash, oldRoot)
      root = nodeHash(hash, root)
      for (; node % 2 === 0 && node > 0; node /= 2) last = half(last)
    } else {
      root = nodeHash(root, hash)
    }
    node = half(node)
    last = half(last)
  }
  return last === 0 && equal(oldRoot, old.root) && equal(root, head.root)
}

/** Builds a tree leaf by leaf, holding one hash for each level. */
export class TreeBuilder {
  size = 0
  /** The roots of the complete subtrees that the leaves so far consist of, the largest first. */
  #edge: Buffer[] = []

  /** The builder of a tree that has `size` leaves already. */
  static async from (size: number, getNode: GetNode) {
    const builder = new TreeBuilder()
    for (let power = 2 ** Math.floor(Math.log2(size || 1)); power >= 1 && builder.size < size; power /= 2) {
      if (builder.size + power > size) continue
      builder.#edge.push(await getNode(Math.log2(power), builder.size / power))
      builder.size += power
    }
    return builder
  }

  copy () {
    const copy = new TreeBuilder()
    copy.size = this.size
    copy.#edge = [...this.#edge]
    return copy
  }

  /**
   * @param leaf the hash of the leaf
   * @param complete called with each complete subtree that the leaf ends
   */
  append (leaf: Buffer, complete?: (level: number, index: number, root: Buffer) => void) {
    let root = leaf
    let index = this.size
    for (let level = 0; ; level++) {
      complete?.(level, index, root)
      if (index % 2 === 0) break
      root = nodeHash(this.#edge.pop()!, root)
      index = half(index)
    }
    this.#edge.push(root)
    this.size++
  }

  get root () {
    if (this.size === 0) return EMPTY_ROOT
    return this.#edge.reduceRight((right, left) => nodeHash(left, right))
  }
}

function largestPowerBelow (count: number) {
  let power = 1
  while (power * 2 < count) power *= 2
  return power
}

const half = (n: number) => Math.floor(n / 2)
const isPower = (n: number) => 2 ** Math.round(Math.log2(n)) === n
const equal = (a: Uint8Array, b: Uint8Array) => Buffer.compare(a, b) === 0
