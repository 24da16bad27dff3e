import { once } from 'node:events'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { PolicyResponse, type SendRequest, type VaultRequest } from '../policy-engine/exchange.ts'

const POLICIES = fileURLToPath(new URL('../../../../terraform/policies', import.meta.url))

/** A copy of the documents in `of` in which `document` has `from` replaced by `to`, once. */
export function changed (
  t: Test, document: string, from: string, to: string, of = POLICIES, extension = 'xml'
) {
  const dir = mkdtempSync(join(tmpdir(), 'policies-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  cpSync(of, dir, { recursive: true })
  const file = join(dir, `${document}.${extension}`)
  const xml = readFileSync(file, 'utf8')
  if (!xml.includes(from)) throw new Error(`${file} has no ${from}`)
  writeFileSync(file, xml.replace(from, () => to))
  return dir
}

export const documentOf = (document: string) => readFileSync(join(POLICIES, `${document}.xml`), 'utf8')

interface Attributes {
  enabled?: boolean
  nbf?: number
  exp?: number
}

/** A vault of the host key that tests change, and what it was asked. */
export function vaultOf (first: string) {
  const versions: Array<{
    id: string,
    value: string,
    attributes: Attributes,
    tags?: {
      previous: string
    }
  }> = []
  const asked: VaultRequest[] = []
  const state: { away: boolean, until?: Promise<void> } = { away: false }

  const request: SendRequest = async (request) => {
    asked.push(request)
    if (state.away) throw Object.assign(new Error('away'), { code: 'ECONNREFUSED' })
    await state.until
    const { pathname } = new URL(request.url)
    const [, secrets, name, id] = pathname.split('/')
    const version = id ? versions.find((version) => version.id === id) : versions.at(-1)
    if (secrets !== 'secrets' || name !== 'patient-host-key' || !version) {
      return new PolicyResponse(404, '{"error":{"code":"SecretNotFound"}}')
    }
    if (version.attributes.enabled === false) return new PolicyResponse(403, '{"error":{"code":"Forbidden"}}')
    return new PolicyResponse(200, JSON.stringify(version))
  }

  /** Adds a version that supersedes the newest. */
  function add (value: string, attributes: Attributes = {}) {
    const previous = versions.at(-1)?.id
    versions.push({
      id: `v${versions.length}`,
      value,
      attributes: {
        enabled: true, ...attributes
      },
      ...(previous && { tags: { previous } })
    })
  }

  function change (value: string, attributes: Attributes) {
    Object.assign(versions.find((version) => version.value === value)!.attributes, attributes)
  }

  add(first)
  return { request, add, change, asked, state }
}

/** A service that takes the host keys in `keys` and tells what it saw. */
export async function startGuarded (t: Test, ...first: string[]) {
  const keys = new Set(first)
  const seen: Array<{ key: string, url: string, headers: NodeJS.Dict<string | string[]>, body: string }> = []
  const state: { refusal: number, fields?: Record<string, string> } = { refusal: 401 }
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk)
    const key = String(request.headers['x-functions-key'])
    seen.push({ key, url: request.url!, headers: request.headers, body: Buffer.concat(chunks).toString() })
    response.writeHead(keys.has(key) ? 200 : state.refusal, {
      'www-authenticate': 'service', ...state.fields
    }).end('{}')
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => new Promise((resolve) => {
    server.close(resolve)
    server.closeAllConnections()
  }))
  return { keys, seen, state, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

export const inSeconds = (seconds: number) => Math.floor(Date.now() / 1_000) + seconds
