import querystring from 'node:querystring'
import type { FastifyRequest } from 'fastify'

const HEADER = 'ocp-apim-subscription-key'
const PARAMETER = 'subscription-key'

/** The subscription key of a request, from its header or else from its query. */
export function subscriptionKey ({ headers, raw }: FastifyRequest): string | undefined {
  const header = headers[HEADER]
  if (header) return String(header)
  if (!raw.url!.includes('?')) return undefined
  return parameters(raw.url!).filter(isKey).map(([, value]) => value).find(Boolean)
}

/** `url` without the parameter `name`, which is in lower case; the others stay as they are. */
export function withoutParameter (url: string, name: string) {
  const start = url.indexOf('?')
  if (start === -1) return url
  const kept = url.slice(start + 1).split('&').filter((pair) => parse(pair)[0].toLowerCase() !== name)
  return kept.length === 0 ? url.slice(0, start) : `${url.slice(0, start)}?${kept.join('&')}`
}

function parameters (url: string) {
  return url.slice(url.indexOf('?') + 1).split('&').map(parse)
}

function parse (pair: string) {
  const [parsed = ['', '']] = Object.entries(querystring.parse(pair))
  return parsed as [string, string]
}

function isKey ([name]: [string, string]) {
  return name.toLowerCase() === PARAMETER
}
