import type { ServerResponse } from 'node:http'

/** What the ingress, which is an Envoy, answers by itself. */
export const answers = {
  overflow: [503, 'upstream connect error or disconnect/reset before headers. reset reason: overflow'],
  absent: [503, 'no healthy upstream'],
  broken: [502, 'upstream connect error or disconnect/reset before headers. reset reason: connection termination'],
  late: [504, 'upstream request timeout']
} as const

/** Answers as it does: in plain text, and with no word of when to come again. */
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
