/**
 * A flat object changed by a merge patch: null takes a property away, anything else takes its place.
 * Source: RFC 7396; no property of ours is an object, so there is nothing to descend into.
 */
export function merge<T extends object> (target: T, patch: { [K in keyof T]?: T[K] | null }): T {
  const entries = Object.entries({ ...target, ...patch }).filter(([, value]) => value !== null)
  return Object.fromEntries(entries) as T
}
