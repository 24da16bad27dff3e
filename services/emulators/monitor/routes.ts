import type { FastifyPluginAsync, FastifyReply } from 'fastify'
import { siteFiles } from '#common/pages/files.ts'
import type { ReadRecords } from './audit-records.ts'
import type { Traffic } from './figures.ts'
import { summaryOf, type Operations } from './operations.ts'
import { notFound, site } from './pages/layout.ts'
import { operationPage } from './pages/operation.ts'
import { operationsPage, searchPage } from './pages/operations.ts'
import { routesPage } from './pages/routes.ts'
import { treeOf, type Node } from './tree.ts'

interface Options {
  operations: Operations
  traffic: Traffic
  readRecords: ReadRecords
}

type ById = { Params: { id: string } }

const OPERATION_ID = /^[0-9a-f]{32}$/
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/

/** The pages. They are read-only. */
export const pageRoutes: FastifyPluginAsync<Options> = async (app, { operations, traffic, readRecords }) => {
  const send = (reply: FastifyReply, page: string) => reply.type('text/html; charset=utf-8').send(page)

  app.get<{ Querystring: { id?: string | string[] } }>('/', async ({ query: { id } }, reply) => {
    if (id === undefined) return send(reply, operationsPage(operations.summaries(), traffic.roles()))
    const wanted = operationIdIn(String(id))
    const found = wanted === '' ? [] : operations.beginningWith(wanted)
    const isOne = found.length === 1 || OPERATION_ID.test(wanted)
    if (isOne) return reply.redirect(`/operations/${encodeURIComponent(found[0]?.id ?? wanted)}`)
    return send(reply, searchPage(wanted, found.map(summaryOf)))
  })

  app.get<ById>('/operations/:id', async ({ params: { id } }, reply) => {
    const operation = operations.get(id)
    const records = await readRecords(id)
    if (!operation) reply.code(404)
    return send(reply, operationPage(id, operation, records))
  })

  app.get('/routes', async (_request, reply) => send(reply, routesPage(traffic.routes())))

  app.register(siteFiles, { site })
  app.setNotFoundHandler((_request, reply) => send(reply.code(404), notFound()))
}

/** The content of the pages as JSON for tests and tools, without audit records. */
export const apiRoutes: FastifyPluginAsync<Omit<Options, 'readRecords'>> = async (app, options) => {
  const { operations, traffic } = options
  app.get('/api/operations', async () => ({ operations: operations.summaries() }))

  app.get<ById>('/api/operations/:id', async ({ params: { id } }, reply) => {
    const operation = operations.get(id)
    if (!operation) return reply.code(404).send({ error: 'no such operation' })
    const { notKept, items } = operation
    return { ...summaryOf(operation), notKept, tree: treeOf(items).map(toJson) }
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
