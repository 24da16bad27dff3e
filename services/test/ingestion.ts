import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { makeCertificates } from '../cli/system/certificates.ts'

/** What Application Insights is sent, as far as tests read it. */
export interface Envelope {
  time: string
  sampleRate?: number
  tags: Record<string, string>
  data: { baseType: string, baseData: Record<string, any> }
}

/** How the ingestion answers: as it should, never, with a status, or that nothing is there. */
export type Mood = 'well' | 'not at all' | 'away' | number

/** Takes what is sent to Application Insights and keeps it, or with `keep: false` counts its bytes alone. */
export async function startIngestion ({ keep = true } = {}) {
  const dir = mkdtempSync(join(tmpdir(), 'ingestion-'))
  await makeCertificates(dir, ['ingestion'])
  const read = (name: string) => readFileSync(join(dir, name))
  const tls = { key: read('ingestion-key.pem'), cert: read('ingestion.pem') }
  let received = ''
  const envelopes: Envelope[] = []
  let bytes = 0
  let mood: Mood = 'well'

  async function take (request: IncomingMessage, response: ServerResponse) {
    const chunks: Buffer[] = []
    for await (const chunk of request) {
      bytes += chunk.length
      if (keep) chunks.push(chunk)
    }
    if (mood === 'not at all') return
    response.setHeader('content-type', 'application/json')
    if (typeof mood === 'number') {
      response.writeHead(mood).end('{"itemsReceived":1,"itemsAccepted":0,"errors":[]}')
      return
    }
    const body = Buffer.concat(chunks)
    if (keep) {
      const text = String(request.headers['content-encoding'] === 'gzip' ? gunzipSync(body) : body)
      received += text
      envelopes.push(...JSON.parse(text))
    }
    response.end('{"itemsReceived":1,"itemsAccepted":1,"errors":[]}')
  }

  const server = createServer(tls, (request, response) => {
    take(request, response).catch(() => response.destroy())
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo
  const key = 'InstrumentationKey=00000000-0000-0000-0000-000000000000'

  return {
    /** The settings with which a system sends all its telemetry here. */
    settings: {
      APPLICATIONINSIGHTS_CONNECTION_STRING: `${key};IngestionEndpoint=https://localhost:${port}/`,
      NODE_EXTRA_CA_CERTS: join(dir, 'ca.pem')
    },
    get bytes () { return bytes },
    /** All that came, as it came. */
    text: () => received,
    envelopes: () => envelopes,
    async answer (as: Mood) {
      mood = as
      if (as === 'away') server.close()
      else if (!server.listening) await once(server.listen(port, '127.0.0.1'), 'listening')
      server.closeAllConnections()
    },
    async close () {
      server.close()
      server.closeAllConnections()
      rmSync(dir, { recursive: true, force: true })
    }
  }
}
