import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { isUuid } from '#common/http/formats.ts'
import { Problem } from '#common/http/problems.ts'
import { InvalidRecordId } from './errors.ts'
import { AuditRecord, Receipt } from '#common/audit-record.ts'
import type { Register } from './register.ts'

/** Takes records into the register. No route reads, changes or deletes one. */
export const recordRoutes: FastifyPluginAsyncTypebox<{ register: Register }> = async (app, { register }) => {
  const schema = { body: AuditRecord, response: { 201: Receipt, '4xx': Problem, '5xx': Problem } }

  for (const path of ['/audit', '/api/auditrecord']) {
    app.post(path, { schema }, async (request, reply) => {
      const id = request.headers['idempotency-key'] as string | undefined
      if (id !== undefined && !isUuid(id)) throw new InvalidRecordId()
      const receipt = await register.append(request.body, request.id, {
        id: id?.toLowerCase(),
        isFirst: request.headers['x-audit-attempt'] === '1',
        bytes: mostBytes(request.headers['content-length'])
      })
      return reply.code(201).send(receipt)
    })
  }
}

/**
 * What a record may take as BSON, by the length of its JSON: twice as much holds for all that the schema allows but the
 * names of criteria, of which there are few. To measure each would take longer than to store it.
 */
function mostBytes (length: string | undefined) {
  return length === undefined ? undefined : 2 * Number(length) + 1_024
}
