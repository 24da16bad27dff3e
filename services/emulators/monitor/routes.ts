import type { FastifyPluginAsync, FastifyReply } from 'fastify'
import type { ReadRecords } from './audit-records.ts'
import type { Traffic } from './figures.ts'
import type { Operations } from './operations.ts'
import { icon, notFound } from './pages/layout.ts'
import { operationPage } from './pages/operation.ts'
import { operationsPage, searchPage } from './pages/operations.ts'
import { routesPage } from './pages/routes.ts'
import { treeOf, type Node } from './tree.ts'

interface ApiOptions {
  operations: Operations
  traffic: Traffic
}

interface PageOptions extends ApiOptions {
  readRecords: ReadRecords
  style: Buffer
  script: Buffer
}

interface ById {
  Params: { id: string }
}

const OPERATION_ID = /^[0-9a-f]{32}$/
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/

/** The pages. They are read-only. */
export const pageRoutes: FastifyPluginAsync<PageOptions> = async (app, options) => {
  const { operations, traffic, readRecords, style, script } = options
  const send = (reply: FastifyReply, page: string) => reply.type('text/html; charset=utf-8').send(page)

  app.get<{ Querystring: { id?: string | string[] } }>('/', async ({ query: { id } }, reply) => {
    if (id === undefined) return send(reply, operationsPage(operations.summaries(), traffic.roles()))
    const wanted = operationIdIn(String(id))
    const found = wanted === '' ? [] : operations.beginningWith(wanted)
    const isOne = found.length === 1 || OPERATION_ID.test(wanted)
    if (isOne) return reply.redirect(`/operations/${encodeURIComponent(found[0]?.id ?? wanted)}`)
    return send(reply, searchPage(wanted, found.map((operation) => operations.summary(operation))))
  })

  app.get<ById>('/operations/:id', async ({ params: { id } }, reply) => {
    const operation = operations.get(id)
    const records = await readRecords(id)
    if (!operation) reply.code(404)
    const summary = operation && operations.summary(operation)
    return send(reply, operationPage({ id, operation, summary, records }))
  })

  app.get('/routes', async (_request, reply) => send(reply, routesPage(traffic.routes())))

  app.get('/monitor.css', async (_request, reply) => reply.type('text/css; charset=utf-8').send(style))
  app.get('/monitor.js', async (_request, reply) => reply.type('text/javascript; charset=utf-8').send(script))
  app.get('/icon.svg', async (_request, reply) => reply.type('image/svg+xml').send(icon))
  app.setNotFoundHandler((_request, reply) => send(reply.code(404), notFound()))
}

/** The content of the pages as JSON for tests and tools, without audit records. */
export const apiRoutes: FastifyPluginAsync<ApiOptions> = async (app, { operations, traffic }) => {
  app.get('/api/operations', async () => ({ operations: operations.summaries() }))

  app.get<ById>('/api/operations/:id', async ({ params: { id } }, reply) => {
    const operation = operations.get(id)
    if (!operation) return reply.code(404).send({ error: 'no such operation' })
    const { notKept, items } = operation
    return { ...operations.summary(operation), notKept, tree: treeOf(items).map(toJson) }
  })

  app.get('/api/routes', async () => ({ routes: traffic.routes() }))
}

function toJson ({ item: { bytes, attributes, ...item }, children, ...place }: Node): object {
  return { ...item, ...place, attributes: Object.fromEntries(attributes), children: children.map(toJson) }
}

/** The operation id in a search, which may have blanks around it, capitals, or be a whole traceparent. */
function operationIdIn (text: string) {
  const id = text.trim().toLowerCase()
  return TRACEPARENT.exec(id)?.[1] ?? id
}
