import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { isUuid } from '#common/formats.ts'
import { Problem } from '#common/problems.ts'
import { InvalidRecordId } from './errors.ts'
import { AuditRecord, Receipt } from './record.ts'
import type { Register } from './register.ts'

/** Takes records into the register. No route reads, changes or deletes one. */
export const recordRoutes: FastifyPluginAsyncTypebox<{ register: Register }> = async (app, { register }) => {
  const schema = { body: AuditRecord, response: { 201: Receipt, '4xx': Problem, '5xx': Problem } }

  for (const path of ['/audit', '/api/auditrecord']) {
    app.post(path, { schema }, async (request, reply) => {
      const id = request.headers['idempotency-key'] as string | undefined
      if (id !== undefined && !isUuid(id)) throw new InvalidRecordId()
      const receipt = await register.append(request.body, request.id, id?.toLowerCase(), request.headers['x-audit-attempt'] === '1')
      return reply.code(201).send(receipt)
    })
  }
}
