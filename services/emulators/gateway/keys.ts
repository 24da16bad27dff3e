import type { FastifyRequest } from 'fastify'

const HEADER = 'ocp-apim-subscription-key'
const PARAMETER = 'subscription-key'
/** A URL with a query. */
const QUERY = /^([^?]*)\?(.*)$/s

/** The subscription key of a request, from its header or else from its query. */
export function subscriptionKey ({ headers, url }: FastifyRequest): string | undefined {
  const header = headers[HEADER]
  if (header) return String(header)
  const parameters = [...new URLSearchParams(QUERY.exec(url)?.[2])]
  return parameters.find(([name, value]) => name.toLowerCase() === PARAMETER && value)?.[1]
}

/** `url` without the parameter `name`, which is in lower case; the others stay as they are. */
export function withoutParameter (url: string, name: string) {
  const [, path, query] = QUERY.exec(url) ?? []
  if (query === undefined) return url
  const nameOf = (pair: string) => [...new URLSearchParams(pair).keys()][0]?.toLowerCase()
  const kept = query.split('&').filter((pair) => nameOf(pair) !== name)
  return kept.length === 0 ? path! : `${path}?${kept.join('&')}`
}
