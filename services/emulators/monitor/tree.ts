import type { Item } from './envelope.ts'

/** An item with its place in the operation. */
export interface Node {
  item: Item
  /** Since the start of the operation. */
  offsetMs: number
  /** Whether it has a parent id that is not among the items. */
  orphan: boolean
  /** Whether it failed and nothing below it did. */
  origin: boolean
  children: Node[]
}

/** The items of one operation as a tree by their parent ids, siblings by their start. */
export function treeOf (items: Item[]): Node[] {
  const started = Math.min(...items.map(({ time }) => time))
  const nodes = items.toSorted((a, b) => a.time - b.time).map((item): Node => {
    return { item, offsetMs: item.time - started, orphan: false, origin: false, children: [] }
  })
  const byId = new Map(nodes.flatMap((node) => node.item.id === undefined ? [] : [[node.item.id, node]]))
  const parents = new Map<Node, Node>()
  const roots: Node[] = []
  // From the last to the first, so that of items that are each other's parents the first becomes a root
  for (const node of nodes.toReversed()) {
    const { parentId } = node.item
    const parent = parentId === undefined ? undefined : byId.get(parentId)
    node.orphan = parentId !== undefined && (!parent || isBelow(parent, node, parents))
    if (parent && !node.orphan) parents.set(node, parent)
    const siblings = parents.get(node)?.children ?? roots
    siblings.unshift(node)
  }
  for (const root of roots) markOrigins(root)
  return roots
}

export function * walk (nodes: Node[], depth = 0): Generator<Node & { depth: number }> {
  for (const node of nodes) {
    yield { ...node, depth }
    yield * walk(node.children, depth + 1)
  }
}

function isBelow (node: Node | undefined, other: Node, parents: Map<Node, Node>) {
  while (node && node !== other) node = parents.get(node)
  return node === other
}

/** Returns whether `node` or anything below it failed. */
function markOrigins (node: Node): boolean {
  const below = node.children.map(markOrigins).some(Boolean)
  node.origin = node.item.failed && !below
  return node.item.failed || below
}
