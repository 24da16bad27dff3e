import type { Item } from './envelope.ts'

/** An item in its place. */
export interface Node {
  item: Item
  /** Since the operation began. */
  offsetMs: number
  /** Whether what it names as its parent is not among the items. */
  orphan: boolean
  /** Whether it failed, and nothing below it did. */
  origin: boolean
  children: Node[]
}

/** The items of one operation as a tree by their parents, siblings in the order in which they began. */
export function treeOf (items: Item[]): Node[] {
  const started = Math.min(...items.map(({ time }) => time))
  const nodes = items.map((item): Node => ({ item, offsetMs: item.time - started, orphan: false, origin: false, children: [] }))
  // What began within the same millisecond stays as it came: a sender tells of what ended first first
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
  // Who names each other as parents would hang on nothing
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

/** Whether anything from `node` down failed. */
function markOrigins (node: Node): boolean {
  const below = node.children.map(markOrigins).some(Boolean)
  node.origin = node.item.failed && !below
  return node.item.failed || below
}
