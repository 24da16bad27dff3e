import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { AuditRecord, Receipt } from '#common/audit-record.ts'
import { isUuid } from '#common/http/formats.ts'
import { Problem } from '#common/http/problems.ts'
import { InvalidRecordId } from './errors.ts'
import type { Register } from './register.ts'

/** The routes that store records. No route reads, changes or deletes a record. */
export const recordRoutes: FastifyPluginAsyncTypebox<{ register: Register }> = async (app, { register }) => {
  const schema = { hide: true, body: AuditRecord, response: { 201: Receipt, '4xx': Problem, '5xx': Problem } }

  for (const path of ['/audit', '/api/auditrecord']) {
    app.post(path, { schema }, async (request, reply) => {
      const id = request.headers['idempotency-key'] as string | undefined
      if (id !== undefined && !isUuid(id)) throw new InvalidRecordId()
      const isFirst = request.headers['x-audit-attempt'] === '1'
      const receipt = await register.append(request.body, request.id, { id: id?.toLowerCase(), isFirst })
      return reply.code(201).send(receipt)
    })
  }
}
