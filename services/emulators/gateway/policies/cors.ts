import type { FastifyReply, FastifyRequest } from 'fastify'

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
