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
  const nodes = items.map((item): Node => {
    return { item, offsetMs: item.time - started, orphan: false, origin: false, children: [] }
  })
  nodes.sort((a, b) => a.offsetMs - b.offsetMs)
  const byId = new Map(nodes.flatMap((node) => node.item.id === undefined ? [] : [[node.item.id, node]]))
  const roots = new Set<Node>()
  for (const node of nodes) {
    const { parentId } = node.item
    const parent = parentId === undefined ? undefined : byId.get(parentId)
    if (parent && parent !== node) parent.children.push(node)
    else {
      node.orphan = parentId !== undefined
      roots.add(node)
    }
  }
  // Items that are each other's parents are not below any root
  const placed = new Set<Node>()
  for (const root of roots) place(root, placed)
  for (const node of nodes) {
    if (placed.has(node)) continue
    cut(node, nodes)
    node.orphan = true
    roots.add(node)
    place(node, placed)
  }
  for (const root of roots) markOrigins(root)
  return [...roots].sort((a, b) => a.offsetMs - b.offsetMs)
}

export function * walk (nodes: Node[], depth = 0): Generator<Node & { depth: number }> {
  for (const node of nodes) {
    yield { ...node, depth }
    yield * walk(node.children, depth + 1)
  }
}

function place (node: Node, placed: Set<Node>) {
  const open = [node]
  for (let next = open.pop(); next; next = open.pop()) {
    placed.add(next)
    open.push(...next.children)
  }
}

function cut (node: Node, nodes: Node[]) {
  const parent = nodes.find(({ item: { id } }) => id === node.item.parentId)
  if (parent) parent.children = parent.children.filter((child) => child !== node)
}

/** Returns whether `node` or anything below it failed. */
function markOrigins (node: Node): boolean {
  const below = node.children.map(markOrigins).some(Boolean)
  node.origin = node.item.failed && !below
  return node.item.failed || below
}
