import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { rmSync, writeFileSync } from 'node:fs'
import { generate } from 'selfsigned'

/** What answers a request to one of Azure's hosts. */
export type Answer = (request: Request) => Response | Promise<Response>

export interface Request {
  method: string
  host: string
  /** Without the query, decoded. */
  path: string
  query: URLSearchParams
  body: unknown
}

export interface Response {
  status: number
  body?: unknown
  headers?: Record<string, string>
}

/** The hosts of Azure that Terraform speaks to. */
const HOSTS = [
  'management.azure.com', 'login.microsoftonline.com', 'graph.microsoft.com', '*.vault.azure.net',
  '*.blob.core.windows.net', '*.queue.core.windows.net', '*.table.core.windows.net', '*.file.core.windows.net'
]
const DAY_MS = 24 * 60 * 60 * 1_000

/**
 * Starts a proxy that ends the TLS connections to Azure's hosts itself and has `answer` answer them, so that
 * Terraform and its provider run unchanged.
 *
 * @param authorityFile where the certificate of its authority is written, for SSL_CERT_FILE
 * @returns the URL for HTTPS_PROXY, and what stops it
 */
export async function startProxy (authorityFile: string, answer: Answer) {
  const { authority, certificate, key } = await makeCertificate()
  writeFileSync(authorityFile, authority)
  const service = createHttpsServer({ cert: certificate, key }, (request, response) => {
    serve(request, response, answer).catch((error: Error) => send(response, failure(error)))
  })
  await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve))
  const { port } = service.address() as AddressInfo
  const sockets = new Set<Socket>()
  const proxy = createServer((_request, response) => response.writeHead(405).end())
  proxy.on('connect', (_request: IncomingMessage, client: Socket, head: Buffer) => {
    const upstream = connect(port, '127.0.0.1', () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n')
      upstream.write(head)
      upstream.pipe(client).pipe(upstream)
    })
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket))
    }
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    stop () {
      for (const socket of sockets) socket.destroy()
      proxy.close()
      service.close()
      service.closeAllConnections()
      rmSync(authorityFile, { force: true })
    }
  }
}

async function makeCertificate () {
  const now = Date.now()
  const options = {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notBeforeDate: new Date(now - DAY_MS),
    notAfterDate: new Date(now + DAY_MS)
  } as const
  const ca = await generate([{ name: 'commonName', value: 'stand-in for Azure' }], {
    ...options,
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, critical: true }
    ]
  })
  const leaf = await generate([{ name: 'commonName', value: 'management.azure.com' }], {
    ...options,
    ca: { key: ca.private, cert: ca.cert },
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      { name: 'subjectAltName', altNames: HOSTS.map((value) => ({ type: 2 as const, value })) }
    ]
  })
  return { authority: ca.cert, certificate: leaf.cert, key: leaf.private }
}

async function serve (request: IncomingMessage, response: ServerResponse, answer: Answer) {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  // The provider sends paths that begin with two slashes to vaults
  const { pathname, searchParams } = new URL(`https://host${request.url!.replace(/^\/+/, '/')}`)
  send(response, await answer({
    method: request.method!,
    host: request.headers.host!.split(':')[0]!,
    path: decodeURIComponent(pathname),
    query: searchParams,
    body: parse(Buffer.concat(chunks).toString(), request.headers['content-type'])
  }))
}

function parse (text: string, type = '') {
  return text === '' || !type.includes('json') ? text : JSON.parse(text) as unknown
}

function send (response: ServerResponse, { status, body, headers }: Response) {
  const isText = typeof body === 'string'
  response.writeHead(status, { ...(!isText && { 'content-type': 'application/json' }), ...headers })
  response.end(body === undefined ? undefined : isText ? body : JSON.stringify(body))
}

function failure ({ message }: Error): Response {
  return { status: 500, body: { error: { code: 'StandInFailed', message } } }
}
