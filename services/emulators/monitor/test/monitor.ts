import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { Pool } from 'undici'
import { makeCertificates } from '../../../cli/system/certificates.ts'
import { buildApp } from '../app.ts'
import { loadConfig } from '../config.ts'

/** A certificate, and the settings that name its files. */
export async function certificates (t: Test) {
  const dir = mkdtempSync(join(tmpdir(), 'monitor-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  await makeCertificates(dir, ['monitor'])
  return {
    ca: join(dir, 'ca.pem'),
    settings: { TLS_CERT_FILE: join(dir, 'monitor.pem'), TLS_KEY_FILE: join(dir, 'monitor-key.pem') }
  }
}

/** A monitor on free ports, with functions to send telemetry and to read its pages. */
export async function startMonitor (t: Test, settings: NodeJS.ProcessEnv = {}) {
  const { ca, settings: files } = await certificates(t)
  const lines: string[] = []
  const config = loadConfig({ PORT: '0', INGESTION_PORT: '0', ...files, ...settings })
  const app = await buildApp(config, { write: (line) => { lines.push(line) } })
  t.teardown(() => app.close())
  const url = await app.listen({ host: config.HOST, port: config.PORT })
  const { port } = app.ingestion.server.address() as AddressInfo
  const ingestion = new Pool(`https://127.0.0.1:${port}`, { connect: { ca: readFileSync(ca) } })
  t.teardown(() => ingestion.close())

  /** Posts telemetry as it is, or as a JSON array. */
  async function track (
    content: unknown[] | string | Buffer,
    headers: Record<string, string> = { 'content-type': 'application/json' },
    path = '/v2.1/track'
  ) {
    const body = Array.isArray(content) ? JSON.stringify(content) : content
    const response = await ingestion.request({ method: 'POST', path, body, headers })
    return {
      statusCode: response.statusCode,
      answer: (await response.body.json()) as {
        itemsReceived: number
        itemsAccepted: number
        errors: Array<{ index: number; statusCode: number; message: string }>
      }
    }
  }

  async function page (path: string) {
    const response = await fetch(url + path)
    return {
      status: response.status,
      url: response.url.slice(url.length),
      headers: response.headers,
      text: await response.text()
    }
  }

  async function json (path: string): Promise<any> {
    const response = await fetch(url + path)
    return response.json()
  }

  return { app, url, config, ingestion, track, page, json, logs: () => lines.join('') }
}
