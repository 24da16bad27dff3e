import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { AttemptsQuery, AuditRecord, Receipt } from '#common/audit-record.ts'
import { isUuid } from '#common/http/formats.ts'
import { invalidRequest, Problem } from '#common/http/problems.ts'
import { purposeViolation } from '#common/purpose-of-use.ts'
import { attemptsWithoutOutcome } from '../attempts.ts'
import { InvalidRecordId } from '../errors.ts'
import type { Register } from '../register.ts'

/** The routes that store records, and the one with which a service finds the outcome of its attempts. */
export const recordRoutes: FastifyPluginAsyncTypebox<{ register: Register }> = async (app, { register }) => {
  const schema = { hide: true, body: AuditRecord, response: { 201: Receipt, '4xx': Problem, '5xx': Problem } }

  for (const path of ['/audit', '/api/auditrecord']) {
    app.post(path, { schema }, async (request, reply) => {
      const id = request.headers['idempotency-key'] as string | undefined
      if (id !== undefined && !isUuid(id)) throw new InvalidRecordId()
      requirePurpose(request.body)
      const isFirst = request.headers['x-audit-attempt'] === '1'
      const receipt = await register.append(request.body, request.id, { id: id?.toLowerCase(), isFirst })
      return reply.code(201).send(receipt)
    })
  }

  app.post('/audit/attempts', {
    schema: { hide: true, body: AttemptsQuery } as { body: typeof AttemptsQuery }
  }, ({ body: { replica } }) => attemptsWithoutOutcome(app.database, replica))
}

/** @throws {InvalidRequest} the purpose and its reason do not go together */
function requirePurpose (record: AuditRecord) {
  const violation = purposeViolation(record)
  if (violation) throw invalidRequest(violation === 'no reason' ? '#/reason' : '#/purpose', 'is required')
}
