import { isUtf8 } from 'node:buffer'
import type { FastifyPluginAsync } from 'fastify'
import { EncodedBody } from '#common/http/problems.ts'
import { InvalidSubmission, SizeConflict, SubmissionTooLarge } from './errors.ts'
import type { Witness } from './witness.ts'

/** A checkpoint with its longest proof takes 4 KiB. */
const MAX_BYTES = 16_384

/** The routes of a witness (https://c2sp.org/tlog-witness), and those of its keys. */
export const witnessRoutes: FastifyPluginAsync<{ witness: Witness }> = async (app, { witness }) => {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    const encoding = request.headers['content-encoding'] ?? 'identity'
    if (encoding.trim().toLowerCase() !== 'identity') return done(new EncodedBody())
    if (body.length > MAX_BYTES) return done(new SubmissionTooLarge())
    if (!isUtf8(body as Buffer)) return done(new InvalidSubmission('it must be UTF-8'))
    done(null, body.toString())
  })

  app.post<{ Body: string | undefined }>('/add-checkpoint', async ({ body = '' }, reply) => {
    reply.type('text/plain; charset=utf-8')
    try {
      return await witness.addCheckpoint(body)
    } catch (error) {
      if (!(error instanceof SizeConflict)) throw error
      return reply.code(409).type('text/x.tlog.size').send(`${error.size}\n`)
    }
  })

  app.post<{ Body: string | undefined }>('/add-key', async ({ body = '' }, reply) => {
    reply.type('text/plain; charset=utf-8')
    return await witness.addKey(body)
  })

  for (const path of ['/', '/keys']) {
    app.get(path, async (_request, reply) => {
      reply.type('text/plain; charset=utf-8')
      return witness.vkeys.map((vkey) => `${vkey}\n`).join('')
    })
  }
}
