// RFC 9110, 7.6.1, and what older peers still send
export const HOP_BY_HOP = [
  'connection', 'keep-alive', 'proxy-authenticate', 'proxy-authentication-info', 'proxy-authorization', 'proxy-connection',
  'te', 'trailer', 'transfer-encoding', 'upgrade'
]

// Told anew by the gateway. What a client must not tell a service is said by the policies.
const OWN = ['host', 'expect', 'traceparent', 'tracestate', 'via']

const RESPONSE: ReadonlySet<string> = new Set(HOP_BY_HOP)
const REQUEST: ReadonlySet<string> = new Set([...HOP_BY_HOP, ...OWN])

const unions = new WeakMap<ReadonlySet<string>, ReadonlySet<string>>()

/** The fields of a client's request that go on to the service, without those `deleted`. Takes and gives name, value, name, value. */
export function requestFields (raw: string[], deleted?: ReadonlySet<string>) {
  if (!deleted) return fieldsWithout(raw, REQUEST)
  let dropped = unions.get(deleted)
  if (!dropped) unions.set(deleted, dropped = REQUEST.union(deleted))
  return fieldsWithout(raw, dropped)
}

/** The fields of a service's answer that go on to the client. */
export function responseFields (raw: string[]) {
  return fieldsWithout(raw, RESPONSE)
}

/** Sets a field, in the place of those of its name, which is in lower case. */
export function setField (fields: string[], name: string, value: string) {
  for (let i = fields.length - 2; i >= 0; i -= 2) {
    if (fields[i] === name) fields.splice(i, 2)
  }
  fields.push(name, value)
}

/** Takes the fields away whose names are among `names`, in lower case. */
export function deleteFields (fields: string[], names: ReadonlySet<string>) {
  for (let i = fields.length - 2; i >= 0; i -= 2) {
    if (names.has(fields[i]!)) fields.splice(i, 2)
  }
}

/** The fields of a message without those `dropped`, in lower case, and without those that its Connection names. */
export function fieldsWithout (raw: string[], dropped: ReadonlySet<string>): string[] {
  const kept: string[] = []
  const nominated: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!.toLowerCase()
    if (name === 'connection') nominated.push(...raw[i + 1]!.toLowerCase().split(',').map((option) => option.trim()))
    if (!dropped.has(name)) kept.push(name, raw[i + 1]!)
  }
  return nominated.some((name) => kept.includes(name)) ? fieldsWithout(kept, new Set(nominated)) : kept
}
