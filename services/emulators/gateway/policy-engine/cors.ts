import type { FastifyReply, FastifyRequest } from 'fastify'
import { number, readAttributes } from './attributes.ts'
import { checkAttributes, childrenNamed, childrenOf, refuse, refuseTag, type Element } from './elements.ts'

const PARTS = ['allowed-origins', 'allowed-methods', 'allowed-headers', 'expose-headers'] as const

export type CorsPolicy = ReturnType<typeof readCors>

/**
 * Adds the headers of `policy` to responses to its origins, and answers preflight requests, which have no
 * subscription key. Other origins get no headers, so browsers refuse them.
 */
export function answerCors (policy: CorsPolicy) {
  const allowedHeaders = policy.headers.map((name) => name.toLowerCase())

  /** Whether the policy allows the method and the headers that a preflight request names. */
  function allows ({ headers }: FastifyRequest) {
    const names = headers['access-control-request-headers']?.toLowerCase().split(',') ?? []
    return policy.methods.includes(headers['access-control-request-method']!) &&
      names.every((name) => name.trim() === '' || allowedHeaders.includes(name.trim()))
  }

  return (request: FastifyRequest, reply: FastifyReply, done: () => void) => {
    const { origin, 'access-control-request-method': method } = request.headers
    const isPreflight = request.method === 'OPTIONS' && origin !== undefined && method !== undefined
    const { raw } = reply
    raw.setHeader('vary', 'Origin')
    if (origin !== undefined && policy.origins.includes(origin) && (!isPreflight || allows(request))) {
      raw.setHeader('access-control-allow-origin', origin)
      if (isPreflight) {
        raw.setHeader('access-control-allow-methods', policy.methods.join(','))
        raw.setHeader('access-control-allow-headers', policy.headers.join(','))
        raw.setHeader('access-control-max-age', policy.maxAgeSeconds)
      } else {
        raw.setHeader('access-control-expose-headers', policy.exposed.join(','))
      }
    }
    if (isPreflight) reply.send()
    else done()
  }
}

/**
 * Reads the policy from its element.
 *
 * @throws {PolicyError}
 */
export function readCors (element: Element) {
  const parts = childrenNamed(element, PARTS)
  const { 'allowed-methods': methods, ...others } = parts
  for (const part of Object.values(others)) checkAttributes(part)
  const attributes = readAttributes(methods, { 'preflight-result-max-age': number })
  return {
    origins: textsOf(parts['allowed-origins'], 'origin').flatMap((list) => list.split(',')).filter(Boolean),
    methods: textsOf(methods, 'method'),
    headers: textsOf(parts['allowed-headers'], 'header'),
    exposed: textsOf(parts['expose-headers'], 'header'),
    maxAgeSeconds: String(attributes['preflight-result-max-age'])
  }
}

/** The texts of the children of `element`, which must all be called `name`. */
function textsOf (element: Element, name: string) {
  return childrenOf(element).map((child) => {
    if (child.name !== name) refuseTag(child)
    checkAttributes(child)
    if (child.children.length > 0) refuse(child, `<${name}> must contain text only`)
    return child.text
  })
}
