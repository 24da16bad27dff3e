import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { siteFiles } from '#common/pages/files.ts'
import { hostNames, pageHeaders } from '#common/pages/headers.ts'
import type { Secret } from '#common/secrets/secrets.ts'
import { documents, forTypes, operations } from './documents.ts'
import { mayHaveKeys, type Keys } from './keys.ts'
import { errorsPage } from './pages/errors.ts'
import { notFound, site } from './pages/layout.ts'
import { operationPage } from './pages/operation.ts'
import { operationsPage } from './pages/operations.ts'
import { overviewPage } from './pages/overview.ts'
import { quickStartsPage } from './pages/quick-starts.ts'
import { readQuickStarts } from './quick-starts.ts'
import { readStates } from './states.ts'

interface Options {
  /** The keys that pages fill in for people on this machine. */
  keys?: Secret<Keys>
  /** The health check of each service, by the name of the service. */
  checks: Map<string, string>
  monitorUrl?: string
  hasAuditorPage: boolean
  quickStartDir: string
}

const NAMES = new Set(['localhost', '127.0.0.1', '[::1]'])

/** The pages for developers who use the API: at / and below /portal, on this machine only. */
export const portal: FastifyPluginAsync<Options> = async (app, options) => {
  const { keys, checks, monitorUrl, hasAuditorPage, quickStartDir } = options
  const keysFor = (request: FastifyRequest) => mayHaveKeys(request) ? keys?.current() : undefined
  const quickStarts = readQuickStarts(quickStartDir)
  const send = (reply: FastifyReply, page: string) => reply.type('text/html; charset=utf-8').send(page)

  await app.register(pageHeaders, { https: false })
  await app.register(hostNames, { names: NAMES })
  app.register(siteFiles, { site })

  for (const path of ['/', '/portal']) {
    app.get(path, async (request, reply) => {
      const states = await readStates(checks)
      const shown = { baseUrl: baseUrlOf(request), keys: keysFor(request), states }
      return send(reply, overviewPage({ ...shown, monitorUrl, hasAuditorPage }))
    })
  }
  app.get('/portal/operations', async (_request, reply) => send(reply, operationsPage()))
  for (const operation of operations) {
    app.get(`/portal/operations/${operation.operationId}`, async (request, reply) => {
      return send(reply, operationPage(operation, keysFor(request), monitorUrl))
    })
  }
  app.get('/portal/quick-starts', async (request, reply) => {
    const key = keysFor(request)?.client ?? 'your key'
    const settings = `export BASE=${baseUrlOf(request)}\nexport KEY=${quote(key)}`
    return send(reply, quickStartsPage(quickStarts(baseUrlOf(request)), settings))
  })
  app.get('/portal/errors', async (_request, reply) => send(reply, errorsPage()))
  for (const [name, document] of Object.entries(documents)) {
    for (const [end, content] of [['', document], ['-types', forTypes(document)]] as const) {
      app.get(`/portal/openapi/${name}${end}.json`, async (request) => {
        return { ...content, servers: [{ url: baseUrlOf(request) }] }
      })
    }
  }
  app.get('/portal/*', async (_request, reply) => send(reply.code(404), notFound()))
}

// The host name is one of NAMES
const baseUrlOf = ({ headers: { host } }: FastifyRequest) => `http://${host}`

function quote (word: string) {
  return `'${word.replaceAll("'", "'\\''")}'`
}
