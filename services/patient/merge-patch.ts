/** Applies a JSON merge patch (RFC 7396) to a flat object: null removes a property. */
export function merge<T extends object> (target: T, patch: { [K in keyof T]?: T[K] | null }): T {
  const entries = Object.entries({ ...target, ...patch }).filter(([, value]) => value !== null)
  return Object.fromEntries(entries) as T
}
