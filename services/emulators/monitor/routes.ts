import type { FastifyPluginAsync, FastifyReply } from 'fastify'
import type { ReadRecords } from './audit-records.ts'
import type { Traffic } from './figures.ts'
import type { Operations } from './operations.ts'
import { icon, notFound } from './pages/layout.ts'
import { operationPage } from './pages/operation.ts'
import { foundPage, operationsPage } from './pages/operations.ts'
import { routesPage } from './pages/routes.ts'
import { treeOf, type Node } from './tree.ts'

interface Shown {
  operations: Operations
  traffic: Traffic
}

interface Served extends Shown {
  recordsOf: ReadRecords
  style: Buffer
  script: Buffer
}

const WHOLE_ID = /^[0-9a-f]{32}$/
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/

/** What people look at. Nothing here changes anything. */
export const pageRoutes: FastifyPluginAsync<Served> = async (app, { operations, traffic, recordsOf, style, script }) => {
  const send = (reply: FastifyReply, page: string) => reply.type('text/html; charset=utf-8').send(page)

  app.get<{ Querystring: { id?: string | string[] } }>('/', async ({ query: { id } }, reply) => {
    if (id === undefined) return send(reply, operationsPage({ summaries: operations.summaries(), roles: traffic.roles() }))
    const wanted = wantedId(String(id))
    const found = wanted === '' ? [] : operations.beginningWith(wanted)
    if (found.length === 1 || WHOLE_ID.test(wanted)) return reply.redirect(`/operations/${encodeURIComponent(found[0] ?? wanted)}`)
    return send(reply, foundPage(wanted, found.map((id) => operations.summary(operations.get(id)!))))
  })

  app.get<{ Params: { id: string } }>('/operations/:id', async ({ params: { id } }, reply) => {
    const operation = operations.get(id)
    const recorded = await recordsOf(id)
    if (!operation) reply.code(404)
    return send(reply, operationPage({ id, operation, summary: operation && operations.summary(operation), recorded }))
  })

  app.get('/routes', async (_request, reply) => send(reply, routesPage(traffic.routes())))

  app.get('/monitor.css', async (_request, reply) => reply.type('text/css; charset=utf-8').send(style))
  app.get('/monitor.js', async (_request, reply) => reply.type('text/javascript; charset=utf-8').send(script))
  app.get('/icon.svg', async (_request, reply) => reply.type('image/svg+xml').send(icon))
  app.setNotFoundHandler((_request, reply) => send(reply.code(404), notFound()))
}

/** The same as JSON, for tests and tools; audit records are on the page alone. */
export const apiRoutes: FastifyPluginAsync<Shown> = async (app, { operations, traffic }) => {
  app.get('/api/operations', async () => ({ operations: operations.summaries() }))

  app.get<{ Params: { id: string } }>('/api/operations/:id', async ({ params: { id } }, reply) => {
    const operation = operations.get(id)
    if (!operation) return reply.code(404).send({ error: 'no such operation' })
    return { ...operations.summary(operation), notKept: operation.notKept, tree: treeOf(operation.items).map(described) }
  })

  app.get('/api/routes', async () => ({ routes: traffic.routes() }))
}

type Described = Omit<Node['item'], 'attributes' | 'bytes'> & Omit<Node, 'item' | 'children'> & { attributes: Record<string, string>, children: Described[] }

function described ({ item: { bytes, attributes, ...item }, children, ...place }: Node): Described {
  return { ...item, ...place, attributes: Object.fromEntries(attributes), children: children.map(described) }
}

/** The operation id that was meant: ids are copied with blanks around, in capitals, and as a whole traceparent. */
function wantedId (text: string) {
  const id = text.trim().toLowerCase()
  return TRACEPARENT.exec(id)?.[1] ?? id
}
