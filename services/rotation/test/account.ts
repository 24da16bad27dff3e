import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { CosmosDBManagementClient } from '@azure/arm-cosmosdb'
import type { Test } from 'tap'
import { makeCertificates } from '../../cli/system/certificates.ts'
import { dataDirectory } from '../../emulators/mongodb/test/helper.ts'
import type { Vault } from '../../emulators/vault/test/vault.ts'

const SUBSCRIPTION = '00000000-0000-4000-8000-000000000000'
const GROUP = `/subscriptions/${SUBSCRIPTION}/resourceGroups/health`
const PATH = `${GROUP}/providers/Microsoft.DocumentDB/databaseAccounts/records`
const API_VERSION = /^20\d\d-\d\d-\d\d$/
const TOKEN = 'token-of-rotation'

type Kind = 'primary' | 'secondary' | 'primaryReadonly' | 'secondaryReadonly'

/**
 * Azure's management API as far as the keys of one Cosmos DB account go. Source: the REST reference of Cosmos
 * DB's resource provider, and "Track asynchronous Azure operations".
 */
export async function startAccount (t: Test) {
  const dir = dataDirectory(t)
  await makeCertificates(dir, ['azure'])
  const ca = readFileSync(join(dir, 'ca.pem'), 'utf8')
  const keys: Record<Kind, string> = {
    primary: key(),
    secondary: key(),
    primaryReadonly: key(),
    secondaryReadonly: key()
  }
  const everyKey = new Set(Object.values(keys))
  const calls: string[] = []
  /** How the account does what it is told. */
  const behaviour = {
    /** By which header an operation is followed. */
    follow: 'azure-asyncoperation' as 'azure-asyncoperation' | 'location',
    /** How often it says that an operation is not finished. */
    pending: 0,
    /** What it answers to the call of this name instead. */
    refusals: {} as Record<string, { status: number, body: object }>
  }
  let identities: Vault | undefined
  const operations: Array<{ kind: Kind, pending: number }> = []

  const server = createServer(
    { cert: readFileSync(join(dir, 'azure.pem')), key: readFileSync(join(dir, 'azure-key.pem')) },
    async (request, response) => {
      const url = new URL(request.url!, `https://${request.headers.host}`)
      const body = await text(request)
      const call = url.pathname.replace(PATH, '').slice(1)
      const answer = (status: number, content?: object, headers?: Record<string, string>) => {
        response
          .writeHead(status, { 'content-type': 'application/json', ...headers })
          .end(content && JSON.stringify(content))
      }
      if (url.pathname === '/msi/token') return answerToken(url, answer)
      calls.push(`${request.method} ${url.pathname} ${body}`.trim())
      if (
        request.headers.authorization !== `Bearer ${TOKEN}` ||
        !API_VERSION.test(url.searchParams.get('api-version') ?? '')
      ) { return answer(401) }

      const refusal = behaviour.refusals[call.split('/')[0]!]
      if (refusal) return answer(refusal.status, refusal.body)
      const posted = request.method === 'POST' ? call : undefined
      if (posted === 'listConnectionStrings') return answer(200, { connectionStrings: listed() })
      if (posted === 'regenerateKey') {
        const at = (what: string) => `${url.origin}/${what}/${operations.length}${url.search}`
        const followed: Record<string, string> =
          behaviour.follow === 'location'
            ? { location: at('operations') }
            : { 'azure-asyncoperation': at('operations'), location: at('results') }
        operations.push({ kind: JSON.parse(body).keyKind, pending: behaviour.pending })
        return answer(202, undefined, followed)
      }
      if (call.startsWith('results/')) return answer(200)
      const operation = operations[Number(/^operations\/(\d+)$/.exec(call)?.[1])]
      if (!operation) return answer(404)
      const done = operation.pending-- === 0
      if (done) everyKey.add((keys[operation.kind] = key()))
      const again: Record<string, string> = done ? {} : { location: url.href }
      if (behaviour.follow === 'location') return answer(done ? 200 : 202, undefined, again)
      answer(200, { status: done ? 'Succeeded' : 'Dequeued' })
    }
  )
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const uri = `https://127.0.0.1:${(server.address() as AddressInfo).port}`

  // The vault's own gives tokens for what it knows alone
  async function answerToken ({ searchParams }: URL, answer: (status: number, content: object) => void) {
    const resource = searchParams.get('resource')!
    if (resource === uri) {
      return answer(200, {
        access_token: TOKEN,
        expires_on: String(Math.floor(Date.now() / 1_000) + 3_600),
        resource,
        token_type: 'Bearer'
      })
    }
    const { statusCode, json } = await identities!.askToken('rotation', { resource })
    answer(statusCode, json())
  }

  function connection (kind: Kind) {
    const options = 'ssl=true&replicaSet=globaldb&retrywrites=false&maxIdleTimeMS=120000&appName=@records@'
    return `mongodb://records:${keys[kind]}@records.mongo.localhost:10255/?${options}`
  }

  function listed () {
    const kinds = [
      ['secondaryReadonly', 'Secondary Read-Only'],
      ['primaryReadonly', 'Primary Read-Only'],
      ['secondary', 'Secondary'],
      ['primary', 'Primary']
    ] as const
    return kinds.flatMap(([kind, name]) => {
      const keyKind = kind[0]!.toUpperCase() + kind.slice(1)
      const endpoint = 'https://records.documents.localhost:443/'
      const sql = `AccountEndpoint=${endpoint};AccountKey=${keys[kind]};`
      return [
        { connectionString: sql, description: `${name} SQL Connection String`, keyKind, type: 'Sql' },
        {
          connectionString: connection(kind),
          description: `${name} MongoDB Connection String`,
          keyKind,
          type: 'MongoDB'
        }
      ]
    })
  }

  const credential = { getToken: async () => ({ token: TOKEN, expiresOnTimestamp: Date.now() + 3_600_000 }) }
  return {
    uri,
    ca,
    id: PATH,
    client: new CosmosDBManagementClient(credential, SUBSCRIPTION, { endpoint: uri, tlsOptions: { ca } }),
    keys,
    everyKey,
    behaviour,
    connection,
    /** The calls since this was last asked, each with its body. */
    calls: () => calls.splice(0).map((call) => call.replace(PATH, '…')),
    /** An endpoint where the identity `rotation` gets tokens for this server, and for `vault`. */
    identityEndpoint (vault: Vault) {
      identities = vault
      return `${uri}/msi/token`
    },
    /** A file of authorities: this server's and those in `file`. */
    trusting (file: string) {
      const both = join(dir, 'authorities.pem')
      writeFileSync(both, `${readFileSync(file, 'utf8')}\n${ca}`)
      return both
    }
  }
}

function key () {
  return randomBytes(64).toString('base64')
}
