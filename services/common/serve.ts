import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'
import { SettingsError } from './config.ts'

/** Container Apps kills a replica 30 s after SIGTERM. */
const CLOSING_MS = 25_000

interface Listening {
  HOST: string
  PORT: number
  DRAIN_SECONDS?: number
}

/**
 * The life of a service's process: it reads its settings, listens, and at SIGTERM or SIGINT lets the requests in
 * flight finish and closes what the app holds; before that, at SIGTERM, it serves on for DRAIN_SECONDS, so that its
 * callers turn to other replicas. Wrong settings and a taken port end it with one line.
 */
export async function serve<C extends Listening> (loadConfig: () => C, buildApp: (config: C) => Promise<FastifyInstance>) {
  try {
    const config = loadConfig()
    const app = await buildApp(config)
    const drainMs = (config.DRAIN_SECONDS ?? 0) * 1_000
    const end = closeWithGrace({ delay: CLOSING_MS - drainMs, logger: false, skip: ['SIGTERM'] }, async ({ err, signal }) => {
      if (err) app.log.fatal({ err }, 'ending after a defect')
      else app.log.info({ signal }, 'closing')
      await app.close()
    })
    process.once('SIGTERM', async () => {
      if (drainMs > 0 && app.server.listening) await drained(app, drainMs)
      // As every other signal while the process closes
      process.on('SIGTERM', () => process.exit(1))
      end.close()
    })
    await app.listen({ host: config.HOST, port: config.PORT, listenTextResolver: () => 'listening' })
  } catch (error) {
    if (!(error instanceof SettingsError || (error as NodeJS.ErrnoException).syscall === 'listen')) throw error
    process.stderr.write(`${(error as Error).message}\n`)
    process.exit(1)
  }
}

/** Serves on for `ms`, or until another SIGTERM. */
async function drained (app: FastifyInstance, ms: number) {
  app.log.info({ ms }, 'draining')
  app.drain()
  await Promise.race([sleep(ms), once(process, 'SIGTERM')])
}
