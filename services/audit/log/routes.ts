import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type, type TSchema, type TUnknown } from 'typebox'
import { isUuid } from '#common/http/formats.ts'
import { Problem } from '#common/http/problems.ts'
import { formatProof } from '#common/transparency/checkpoints.ts'
import { formatNote } from '#common/transparency/notes.ts'
import { parseTilePath, type TilePath } from '#common/transparency/tiles.ts'
import { HASH_BYTES, leafHash } from '#common/transparency/tree.ts'
import { LogPartNotFound, RecordNotFound, RecordNotSequenced } from '../errors.ts'
import { preferredType } from '../formats/accept.ts'
import { toJson } from '../formats/lines.ts'
import type { RecordQuestion } from '../routes/questions.ts'
import type { TransparencyLog } from './log.ts'
import { formatKeys } from './keys.ts'

const TEXT = 'text/plain; charset=utf-8'
const BYTES = 'application/octet-stream'
const IMMUTABLE = 'public, max-age=31536000, immutable'
const PROOF_TYPES = ['text/plain', 'application/json'] as const
const ENTRY_LENGTH = Buffer.of(0, HASH_BYTES)

/** TypeScript does not check what is sent: notes and bytes have no schema. */
const problems =
  { '4xx': Problem, '5xx': Problem } as Record<string, TSchema> as Record<string, TUnknown>

/**
 * The log as https://c2sp.org/tlog-tiles serves it, under /log, and the proofs of records. Checkpoints, keys
 * and tiles name nobody, so who reads them is not recorded.
 */
export const logRoutes: FastifyPluginAsyncTypebox<{ log: TransparencyLog, record: RecordQuestion }> =
  async (app, { log, record }) => {
    // Notes and tiles are sent as they are
    app.setSerializerCompiler(() => JSON.stringify)

    app.get('/log/checkpoint', { schema: { response: problems } }, async (_request, reply) => {
      const newest = await log.checkpoints.newestCheckpoint()
      if (!newest) throw new LogPartNotFound()
      reply.type(TEXT).header('cache-control', 'no-cache')
      return formatNote(newest.text, [...newest.signatures, ...newest.cosignatures])
    })

    app.get('/log/keys', { schema: { response: problems } }, async (_request, reply) => {
      reply.type(TEXT).header('cache-control', 'no-cache')
      return formatKeys(await log.store.keys())
    })

    app.get('/log/tile/*', {
      schema: { params: Type.Object({ '*': Type.String() }), response: problems }
    }, async (request, reply) => {
      const tile = parseTilePath(request.params['*'])
      const body = tile && await readTile(log, tile)
      if (!body) throw new LogPartNotFound()
      reply.type(BYTES).header('cache-control', IMMUTABLE)
      return body
    })

    app.get('/audit/:id/proof', {
      schema: { params: Type.Object({ id: Type.String() }), response: problems }
    }, async (request, reply) => {
      const type = preferredType(request.headers.accept, PROOF_TYPES) ?? 'text/plain'
      const id = request.params.id.toLowerCase()
      if (!isUuid(id)) throw new RecordNotFound()
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
  const checkpoint = index === undefined ? undefined : await coveringCheckpoint(log, index)
  if (index === undefined || !checkpoint) throw new RecordNotSequenced()
  const { _id: size, text, signatures, cosignatures } = checkpoint
  const hashes = await log.inclusionProof(index, size)
  const note = formatNote(text, [...signatures, ...cosignatures])
  return { index, stored: found.record, proof: formatProof({ index, hashes, checkpoint: note }) }
}

/** The newest checkpoint with the entry that a witness has cosigned, else the newest one with it. */
async function coveringCheckpoint ({ checkpoints }: TransparencyLog, index: number) {
  const witnessed = await checkpoints.newestWitnessed()
  if (witnessed && witnessed._id > index) return witnessed
  const newest = await checkpoints.newestCheckpoint()
  return newest && newest._id > index ? newest : undefined
}
