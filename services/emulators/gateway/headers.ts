import type { IncomingHttpHeaders } from 'node:http'

// RFC 9110, 7.6.1, and what older peers still send
export const HOP_BY_HOP = [
  'connection', 'keep-alive', 'proxy-authenticate', 'proxy-authentication-info', 'proxy-authorization',
  'proxy-connection', 'te', 'trailer', 'transfer-encoding', 'upgrade'
]

// The gateway sets these itself. The policies name the others that a client must not set.
const OWN = ['host', 'expect', 'traceparent', 'tracestate', 'via']

const RESPONSE: ReadonlySet<string> = new Set(HOP_BY_HOP)
const REQUEST: ReadonlySet<string> = new Set([...HOP_BY_HOP, ...OWN])

/**
 * The fields of a client's request that are passed on to the service. Fields are name, value, name, value; names are
 * returned in lower case.
 */
export function requestFields (raw: string[]) {
  return fieldsWithout(raw, REQUEST)
}

/** The headers of a service's response that are passed on to the client. */
export function responseHeaders ({ connection = '', ...headers }: IncomingHttpHeaders) {
  const nominated = optionsOf(connection)
  const isPassedOn = (name: string) => !RESPONSE.has(name) && !nominated.includes(name)
  return Object.fromEntries(Object.entries(headers).filter(([name]) => isPassedOn(name)))
}

/** Replaces the fields called `name`, which is in lower case. */
export function setField (fields: string[], name: string, value: string) {
  deleteFields(fields, new Set([name]))
  fields.push(name, value)
}

/** Deletes the fields whose names are in `names`, in lower case. */
export function deleteFields (fields: string[], names: ReadonlySet<string>) {
  for (let i = fields.length - 2; i >= 0; i -= 2) {
    if (names.has(fields[i]!)) fields.splice(i, 2)
  }
}

/** The fields of a message, in lower case, without those in `dropped` and those that its Connection names. */
export function fieldsWithout (raw: string[], dropped: ReadonlySet<string>): string[] {
  const kept: string[] = []
  const nominated: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i]!.toLowerCase()
    if (name === 'connection') nominated.push(...optionsOf(raw[i + 1]!))
    if (!dropped.has(name)) kept.push(name, raw[i + 1]!)
  }
  return nominated.some((name) => kept.includes(name)) ? fieldsWithout(kept, new Set(nominated)) : kept
}

function optionsOf (connection: string) {
  return connection.toLowerCase().split(',').map((option) => option.trim())
}
