import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'

/** Container Apps kills a replica 30 s after SIGTERM. */
const CLOSING_MS = 25_000

/**
 * Listens until SIGTERM or SIGINT, then lets the requests in flight finish and closes what the app holds.
 * A failure to listen ends the process with one line.
 */
export async function serve (app: FastifyInstance, { HOST, PORT }: { HOST: string, PORT: number }) {
  closeWithGrace({ delay: CLOSING_MS, logger: false }, async ({ err, signal }) => {
    if (err) app.log.fatal({ err }, 'ending after a defect')
    else app.log.info({ signal }, 'closing')
    await app.close()
  })
  await app.listen({ host: HOST, port: PORT, listenTextResolver: () => 'listening' })
}
