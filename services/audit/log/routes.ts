import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { requireUuid } from '#common/http/formats.ts'
import { formatProof } from '#common/transparency/checkpoints.ts'
import { parseTilePath, type TilePath } from '#common/transparency/tiles.ts'
import { HASH_BYTES, leafHash } from '#common/transparency/tree.ts'
import { LogPartNotFound, RecordNotFound, RecordNotSequenced } from '../errors.ts'
import { preferredType } from '../formats/accept.ts'
import { toJson } from '../formats/lines.ts'
import { problems, responses } from '../routes/queries.ts'
import type { RecordQuestion } from '../routes/questions.ts'
import { checkpointNote, coveringCheckpoint } from './checkpoint-store.ts'
import type { TransparencyLog } from './log.ts'
import { formatKeys } from './keys.ts'

const TEXT = 'text/plain; charset=utf-8'
const BYTES = 'application/octet-stream'
const IMMUTABLE = 'public, max-age=31536000, immutable'
const PROOF_TYPES = ['text/plain', 'application/json'] as const
const ENTRY_LENGTH = Buffer.of(0, HASH_BYTES)

/** The content of responses, for the description of the API. */
const NOTE = { 'text/plain': { schema: { type: 'string' } } }
const TILE = { 'application/octet-stream': { schema: { type: 'string', format: 'binary' } } }
const PROOF = { ...NOTE, 'application/json': { schema: { type: 'object' } } }

/**
 * The log as https://c2sp.org/tlog-tiles serves it, under /log, and the proofs of records. Checkpoints, keys
 * and tiles name nobody, so who reads them is not recorded.
 */
export const logRoutes: FastifyPluginAsyncTypebox<{ log: TransparencyLog, record: RecordQuestion }> =
  async (app, { log, record }) => {
    app.get('/log/checkpoint', {
      schema: {
        operationId: 'load-checkpoint',
        summary: 'Load the newest checkpoint',
        description: 'Returns the signed root of the log, as tlog-checkpoint has it. With `witnessed`, ' +
          'that of the newest checkpoint that a witness has cosigned.',
        querystring: Type.Object({
          witnessed: Type.Optional(
            Type.Literal('true', { description: 'Leaves out what is not witnessed yet' })
          )
        }),
        response: responses(),
        contents: NOTE,
        problems: [LogPartNotFound]
      }
    }, async ({ query: { witnessed } }, reply) => {
      const { checkpoints } = log
      const newest = await (witnessed ? checkpoints.newestWitnessed() : checkpoints.newestCheckpoint())
      if (!newest) throw new LogPartNotFound()
      reply.type(TEXT).header('cache-control', 'no-cache')
      return checkpointNote(newest)
    })

    app.get('/log/keys', {
      schema: {
        operationId: 'load-log-keys',
        summary: 'Load the keys of the log',
        description: 'Returns every public key, each with the note that hands over to it.',
        response: responses(),
        contents: NOTE,
        problems: []
      }
    }, async (_request, reply) => {
      reply.type(TEXT).header('cache-control', 'no-cache')
      return formatKeys(await log.store.keys())
    })

    app.get('/log/tile/*', {
      schema: {
        operationId: 'load-tile',
        summary: 'Load a tile of the log',
        description: 'Returns hashes or entries, as tlog-tiles has them. The path continues with the level ' +
          '(or `entries`), the index and the width, such as `0/x001/234.p/7`.',
        params: Type.Object({ '*': Type.String({ description: 'The level, index and width of the tile' }) }),
        response: responses(),
        contents: TILE,
        problems: [LogPartNotFound]
      }
    }, async (request, reply) => {
      const tile = parseTilePath(request.params['*'])
      const body = tile && await readTile(log, tile)
      if (!body) throw new LogPartNotFound()
      reply.type(BYTES).header('cache-control', IMMUTABLE)
      return body
    })

    app.get('/audit/:id/proof', {
      schema: {
        operationId: 'load-proof',
        summary: 'Load the proof of an audit record',
        description: 'Returns the proof that the log has the record, as tlog-proof has it.',
        params: Type.Object({ id: Type.String({ minLength: 1, description: 'The id of the record' }) }),
        response: responses(),
        contents: PROOF,
        problems: [...problems, RecordNotFound, RecordNotSequenced]
      }
    }, async (request, reply) => {
      const type = preferredType(request.headers.accept, PROOF_TYPES) ?? 'text/plain'
      const id = requireUuid(request.params.id, RecordNotFound)
      await record(request, { operation: 'proof', id })
      const { index, proof, stored } = await proofOf(log, id)
      reply.type(`${type}; charset=utf-8`).header('cache-control', 'no-store')
      if (type === 'text/plain') return proof
      const salt = stored.salt?.toString('base64')
      return { record: toJson(stored), salt, index, proof }
    })
  }

/** A tile of a tree that has a checkpoint, or the entries of one. */
async function readTile ({ store }: TransparencyLog, { level, index, width }: TilePath) {
  const data = await store.readTile(level === 'entries' ? 0 : level, index, width)
  if (!data) return undefined
  if (level !== 0 && level !== 'entries') return data
  const entries = Array.from({ length: width }, (_, i) => {
    return data.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES)
  })
  if (level === 0) return Buffer.concat(entries.map(leafHash))
  return Buffer.concat(entries.flatMap((entry) => [ENTRY_LENGTH, entry]))
}

/** @throws {RecordNotFound | RecordNotSequenced} */
async function proofOf (log: TransparencyLog, id: string) {
  const found = await log.store.findRecord(id)
  if (!found) throw new RecordNotFound()
  const index = await log.store.indexOf(found.chain, found.record.seq)
  if (index === undefined) throw new RecordNotSequenced()
  const checkpoint = coveringCheckpoint(await log.checkpoints.heads(), index)
  if (!checkpoint) throw new RecordNotSequenced()
  const hashes = await log.inclusionProof(index, checkpoint._id)
  const proof = formatProof({ index, hashes, checkpoint: checkpointNote(checkpoint) })
  return { index, stored: found.record, proof }
}
