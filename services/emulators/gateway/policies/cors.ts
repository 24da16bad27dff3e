import type { FastifyReply, FastifyRequest } from 'fastify'
import { PolicyError, type Element } from './documents.ts'
import { checkAttributes, holding, named, number } from './elements.ts'

/** A cors policy, with its lists as the document writes them. */
export interface CorsPolicy {
  origins: string[]
  methods: string[]
  headers: string[]
  exposed: string[]
  maxAgeSeconds: string
}

/**
 * Adds the headers of `policy` to the response of a cross-origin request, and answers preflight requests, which
 * have no subscription key. Other origins get no headers, so browsers refuse them.
 */
export function answerCors (policy: CorsPolicy) {
  const allowedHeaders = policy.headers.map((name) => name.toLowerCase())

  /** Whether the policy allows the call that a preflight request asks for. */
  function allows ({ headers }: FastifyRequest) {
    const asked = headers['access-control-request-headers'] ?? ''
    return policy.methods.includes(headers['access-control-request-method']!) &&
      asked.split(',').every((name) => name.trim() === '' || allowedHeaders.includes(name.trim().toLowerCase()))
  }

  return (request: FastifyRequest, reply: FastifyReply, done: () => void) => {
    const { origin, 'access-control-request-method': asked } = request.headers
    const isPreflight = request.method === 'OPTIONS' && origin !== undefined && asked !== undefined
    // On the raw response, since a service's response is streamed past Fastify's
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
export function corsOf (element: Element): CorsPolicy {
  for (const name of ['allow-credentials', 'terminate-unmatched-request']) {
    if (element.attributes[name] !== 'false') throw new PolicyError(element, `${name} must be false here`)
  }
  const parts = named(element, ['allowed-origins', 'allowed-methods', 'allowed-headers', 'expose-headers'])
  const methods = parts['allowed-methods']
  checkAttributes(methods, ['preflight-result-max-age'])
  for (const part of Object.values(parts)) if (part !== methods) checkAttributes(part, [])
  return {
    origins: texts(parts['allowed-origins'], 'origin').flatMap((list) => list === '' ? [] : list.split(',')),
    methods: texts(methods, 'method'),
    headers: texts(parts['allowed-headers'], 'header'),
    exposed: texts(parts['expose-headers'], 'header'),
    maxAgeSeconds: String(number(methods, 'preflight-result-max-age'))
  }
}

/** The texts of the children of `element`, which must all be called `name`. */
function texts (element: Element, name: string) {
  return holding(element).map((child) => {
    if (child.name !== name) throw new PolicyError(child, `<${child.name}> is not known here`)
    checkAttributes(child, [])
    if (child.children.length > 0) throw new PolicyError(child, `<${name}> must be a text`)
    return child.text
  })
}
