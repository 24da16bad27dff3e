import { field, isDocument } from '../bson/values.ts'
import type { Doc, Value } from '../bson/values.ts'
import type { Filter, Leaf } from './filter.ts'

/** Whether a document matches a filter. */
export function matches (filter: Filter, doc: Doc): boolean {
  return holds(filter, (leaf) => testPath(leaf, doc, 0))
}

/** Whether a value that is no field of a document meets conditions parsed with an empty path. */
export function matchesValue (filter: Filter, value: Value): boolean {
  return holds(filter, (leaf) => leaf.test(value))
}

function holds (filter: Filter, test: (leaf: Leaf) => boolean): boolean {
  switch (filter.kind) {
    case 'leaf': return test(filter)
    case 'and': return filter.parts.every((part) => holds(part, test))
    case 'or': return filter.parts.some((part) => holds(part, test))
    case 'nor': return !filter.parts.some((part) => holds(part, test))
    case 'not': return !holds(filter.part, test)
  }
}

/** Follows the path of a condition; missing fields are tested as undefined. */
function testPath (leaf: Leaf, doc: Doc, depth: number): boolean {
  const value = field(doc, leaf.names[depth]!)
  if (depth === leaf.names.length - 1) {
    return leaf.test(value) || (leaf.elements && Array.isArray(value) && value.some(leaf.test))
  }
  if (Array.isArray(value)) return value.some((item) => isDocument(item) && testPath(leaf, item, depth + 1))
  return isDocument(value) ? testPath(leaf, value, depth + 1) : leaf.test(undefined)
}
