import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import { InvalidCaller } from '#common/http/caller.ts'
import { requireUuid } from '#common/http/formats.ts'
import { NotAcceptable, RecordNotFound, RegisterBusy, TooManyRecords } from '../errors.ts'
import { typeOf } from '../routes/answers.ts'
import type { RecordQuestion } from '../routes/questions.ts'
import { rangeOf, requireRange, responses } from '../routes/queries.ts'
import { AccountingSearch, EvidenceSearch } from '../routes/schemas.ts'
import { disclosuresOf } from './accounting.ts'
import { packOf, type PackParts } from './pack.ts'
import type { Question } from './readme.ts'
import { MAX_RECORDS, select, type Wanted } from './selection.ts'

const ZIP = 'application/zip'
const CONTENTS = { [ZIP]: { schema: { type: 'string', format: 'binary' } } }
const MAX = MAX_RECORDS.toLocaleString('en')
const CHECK_PROOF = ['main.go', 'go.mod', 'go.sum']

const problems = [InvalidCaller, NotAcceptable, RegisterBusy, TooManyRecords]

interface EvidenceOptions extends Omit<PackParts, 'checkProof'> {
  record: RecordQuestion
  maxDays: number
  /** The directory of the program that checks a pack. */
  checkProofDir: string
}

/**
 * The routes that answer with records and their proofs as one zip, which is made as it is sent. The
 * question is recorded first.
 */
export const evidenceRoutes: FastifyPluginAsyncTypebox<EvidenceOptions> = async (app, options) => {
  const { record, maxDays, checkProofDir, ...others } = options
  const checkProof = new Map(CHECK_PROOF.map((name) => [name, readFileSync(join(checkProofDir, name))]))
  const parts: PackParts = { ...others, checkProof }

  app.get('/audit/evidence', {
    schema: {
      operationId: 'load-evidence',
      summary: 'Load audit records with their proofs',
      description: 'Returns a zip with the records that meet every criterion, up to ' +
        `${MAX}, and what proves them without this service: proofs, the checkpoint, the keys and a ` +
        'program. README.txt says how, and which records are not in the log yet.',
      querystring: EvidenceSearch,
      response: responses(),
      contents: CONTENTS,
      problems
    }
  }, async (request, reply) => {
    typeOf(request, [ZIP])
    const { from, to, ...criteria } = request.query
    const query = { ...criteria, ...rangeOf({ from, to }) }
    if (criteria.id === undefined && criteria.operationId === undefined) requireRange(query, maxDays)
    await record(request, { operation: 'evidence', id: criteria.id, criteria: Object.keys(request.query) })
    const question = questionOf('/audit/evidence', request.query)
    return await send(reply, parts, question, { query, view: (found) => found })
  })

  app.get('/patient/:patientId/accounting', {
    schema: {
      operationId: 'load-accounting',
      summary: 'Load the accounting of disclosures of a patient',
      description: 'Returns a zip with every disclosure of the data of a patient in the last six years ' +
        '(45 CFR 164.528), or from `from` on, without the other patients of a search: accounting.csv, ' +
        `the records, and what proves them. Up to ${MAX} records.`,
      params: Type.Object({
        patientId: Type.String({ minLength: 1, description: 'The id of the patient, a UUID' })
      }),
      querystring: AccountingSearch,
      response: responses(),
      contents: CONTENTS,
      problems: [...problems, RecordNotFound]
    }
  }, async (request, reply) => {
    typeOf(request, [ZIP])
    const patientId = requireUuid(request.params.patientId, RecordNotFound)
    const range = rangeOf(request.query)
    const criteria = Object.keys(request.query)
    await record(request, { operation: 'accounting', patientId, ...(criteria.length > 0 && { criteria }) })
    const question = questionOf(`/patient/${patientId}/accounting`, request.query, true)
    return await send(reply, parts, question, disclosuresOf(patientId, range, question.date))
  })
}

function questionOf (path: string, criteria: Record<string, string>, isAccounting = false): Question {
  return { date: new Date(), path, criteria, isAccounting }
}

/** @throws {TooManyRecords} before anything is sent; a later failure ends the connection */
async function send (reply: FastifyReply, parts: PackParts, question: Question, wanted: Wanted) {
  const selection = await select(parts.records, parts.log, wanted)
  const name = question.isAccounting ? 'accounting' : 'evidence'
  reply.type(ZIP).headers({
    'cache-control': 'no-store',
    'content-disposition': `attachment; filename="${name}.zip"`
  })
  return reply.send(Readable.from(packOf(parts, selection, question), { objectMode: false }))
}
