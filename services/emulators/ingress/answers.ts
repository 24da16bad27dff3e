import type { ServerResponse } from 'node:http'

/** The responses of the ingress itself, in the words of Envoy. */
export const answers = {
  overflow: [503, 'upstream connect error or disconnect/reset before headers. reset reason: overflow'],
  absent: [503, 'no healthy upstream'],
  broken: [
    502,
    'upstream connect error or disconnect/reset before headers. reset reason: connection termination'
  ],
  late: [504, 'upstream request timeout']
} as const

/** Responds as Envoy does: in plain text, without Retry-After. */
export function answer (response: ServerResponse, name: keyof typeof answers, closing: boolean) {
  const [statusCode, text] = answers[name]
  response.writeHead(statusCode, {
    server: 'envoy',
    'content-type': 'text/plain',
    'content-length': Buffer.byteLength(text),
    ...(closing && { connection: 'close' })
  })
  response.end(text)
}
