import { fork, spawn, type ChildProcess } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { SecretClient } from '@azure/keyvault-secrets'
import type { Test } from 'tap'
import { Pool, type Dispatcher } from 'undici'
import { makeCertificates } from '../../../cli/system/certificates.ts'
import { freePorts } from '../../processes/probes.ts'
import type { Failure } from './client.ts'

const { NODE_COMPILE_CACHE } = process.env
const MAIN = fileURLToPath(import.meta.resolve('../main.ts'))
const CLIENT = fileURLToPath(import.meta.resolve('./client.ts'))
const LOCALHOST = import.meta.resolve('../../processes/localhost.ts')
const ORPHAN = import.meta.resolve('../../processes/orphan.ts')

export const access: Record<string, { clientId: string, read: string[], manage: string[] }> =
  JSON.parse(readFileSync(new URL('../../../access.json', import.meta.url), 'utf8'))

export const RESOURCE = 'https://vault.localhost'
export const API_VERSION = 'api-version=7.6'

/** The directory of a vault, with certificates and a header for each identity. */
export async function vaultDir (t: Test) {
  const dir = mkdtempSync(join(tmpdir(), 'vault-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  await makeCertificates(dir, ['vault'])
  const headers = Object.fromEntries(
    Object.keys(access).map((name) => [name, randomBytes(32).toString('base64url')])
  )
  const digestOf = (header: string) => createHash('sha256').update(header).digest('hex')
  const digests = Object.entries(headers).map(([name, header]) => [name, digestOf(header)])
  writeFileSync(join(dir, 'identities.json'), JSON.stringify(Object.fromEntries(digests)))
  const settings = {
    HOST: '127.0.0.1',
    PORT: '0',
    DATA_DIR: join(dir, 'data'),
    UNSEAL_KEY_FILE: join(dir, 'unseal-key'),
    IDENTITIES_FILE: join(dir, 'identities.json'),
    TLS_CERT_FILE: join(dir, 'vault.pem'),
    TLS_KEY_FILE: join(dir, 'vault-key.pem')
  }
  return { dir, headers, settings, ca: join(dir, 'ca.pem') }
}

export type VaultDir = Awaited<ReturnType<typeof vaultDir>>

/** Runs main.ts and waits until it listens or has ended. */
export async function runVault (t: Test, { settings }: VaultDir, more: NodeJS.ProcessEnv = {}) {
  const vault = spawn(process.execPath, ['--import', ORPHAN, MAIN], {
    env: { NODE_COMPILE_CACHE, ...settings, ...more },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc']
  })
  const ended = once(vault, 'close')
  t.teardown(() => end(vault))
  let stdout = ''
  let stderr = ''
  vault.stdout!.setEncoding('utf8').on('data', (chunk) => { stdout += chunk })
  vault.stderr!.setEncoding('utf8').on('data', (chunk) => { stderr += chunk })
  const lines = () => stdout.split('\n').slice(0, -1).map((line) => JSON.parse(line))
  const listening = () => stdout.includes('"listening"')
  const runs = () => vault.exitCode === null && vault.signalCode === null
  while (!listening() && runs()) await Promise.race([once(vault.stdout!, 'data'), ended])
  if (!listening()) await ended
  return {
    process: vault,
    ended,
    stdout: () => stdout,
    stderr: () => stderr,
    lines,
    code: () => vault.exitCode
  }
}

/** A vault that listens, with what a test asks it for. */
export async function startVault (t: Test, existing?: VaultDir, port?: number) {
  const dir = existing ?? await vaultDir(t)
  port ??= (await freePorts())[0]
  const vault = await runVault(t, dir, { PORT: String(port) })
  if (vault.code() !== null) throw new Error(vault.stderr())
  const pool = new Pool(`https://127.0.0.1:${port}`, { connect: { ca: readFileSync(dir.ca) } })
  t.teardown(() => pool.destroy())
  const tokens = new Map<string, Promise<string>>()

  /** One call as it is, with no token unless `headers` has one. */
  async function call (path: string, options: Partial<Dispatcher.RequestOptions> = {}) {
    const { statusCode, headers, body } = await pool.request({ method: 'GET', ...options, path })
    const text = await body.text()
    return { statusCode, headers, text, json: () => JSON.parse(text) }
  }

  function askToken (
    identity: string,
    { resource = RESOURCE, clientId = access[identity]!.clientId, header = dir.headers[identity]! } = {}
  ) {
    const query = new URLSearchParams({ 'api-version': '2019-08-01', resource, client_id: clientId })
    return call(`/msi/token?${query}`, { headers: { 'x-identity-header': header } })
  }

  async function tokenOf (identity: string): Promise<string> {
    const ask = async () => (await askToken(identity)).json().access_token
    if (!tokens.has(identity)) tokens.set(identity, ask())
    return tokens.get(identity)!
  }

  /** A call with the token of `identity`, and a known api-version where the path has none. */
  async function as (identity: string, method: Dispatcher.HttpMethod, path: string, content?: unknown) {
    const body = typeof content === 'string' ? content : JSON.stringify(content)
    const versioned = `${path}${path.includes('?') ? '&' : '?'}${API_VERSION}`
    const headers = { authorization: `Bearer ${await tokenOf(identity)}`, 'content-type': 'application/json' }
    return call(/api(?:-|%2D)version/.test(path) ? path : versioned, { method, body, headers })
  }

  return { ...vault, ...dir, port, call, askToken, tokenOf, as, url: `https://local.vault.localhost:${port}` }
}

export type Vault = Awaited<ReturnType<typeof startVault>>

/** What the client's methods answer, with lists as arrays and long operations awaited. */
type Answer<M> = M extends (...args: never[]) => infer R
  ? R extends Promise<infer P>
    ? P extends { pollUntilDone: () => Promise<infer D> } ? D : P
    : R extends AsyncIterable<infer E> ? E[] : never
  : never

type Method = (...args: never[]) => unknown
type Methods = { [K in keyof SecretClient as SecretClient[K] extends Method ? K : never]: SecretClient[K] }

/** The SDK's client in a process of its own, as an identity's service has it. */
export function sdk (t: Test, { url, headers, ca }: Vault, identity: string, more: NodeJS.ProcessEnv = {}) {
  const child = fork(CLIENT, {
    execArgv: ['--import', LOCALHOST],
    serialization: 'advanced',
    env: {
      NODE_COMPILE_CACHE,
      KEY_VAULT_URI: url,
      AZURE_CLIENT_ID: access[identity]!.clientId,
      IDENTITY_ENDPOINT: `${url}/msi/token`,
      IDENTITY_HEADER: headers[identity],
      NODE_EXTRA_CA_CERTS: ca,
      ...more
    }
  })
  t.teardown(() => end(child))
  const waiting: Array<PromiseWithResolvers<unknown>> = []
  child.on('message', ({ result, failure }: { result?: unknown, failure?: Failure }) => {
    const { resolve, reject } = waiting.shift()!
    if (failure) reject(failure)
    else resolve(result)
  })
  child.once('exit', () => { for (const { reject } of waiting) reject(new Error('the client has ended')) })
  return function <M extends keyof Methods>(
    method: M,
    ...args: Parameters<SecretClient[M]>
  ): Promise<Answer<SecretClient[M]>> {
    const answer = Promise.withResolvers<unknown>()
    waiting.push(answer)
    child.send({ method, args })
    return answer.promise as Promise<Answer<SecretClient[M]>>
  }
}

async function end (child: ChildProcess) {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}
