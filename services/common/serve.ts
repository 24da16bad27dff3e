import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'
import { SettingsError } from './config.ts'

/** Container Apps kills a replica 30 s after SIGTERM. */
const CLOSING_MS = 25_000

interface Listening {
  HOST: string
  PORT: number
}

/**
 * The life of a service's process: it reads its settings, listens, and at SIGTERM or SIGINT lets the requests in
 * flight finish and closes what the app holds. Wrong settings and a taken port end it with one line.
 */
export async function serve<C extends Listening> (loadConfig: () => C, buildApp: (config: C) => Promise<FastifyInstance>) {
  try {
    const config = loadConfig()
    const app = await buildApp(config)
    closeWithGrace({ delay: CLOSING_MS, logger: false }, async ({ err, signal }) => {
      if (err) app.log.fatal({ err }, 'ending after a defect')
      else app.log.info({ signal }, 'closing')
      await app.close()
    })
    await app.listen({ host: config.HOST, port: config.PORT, listenTextResolver: () => 'listening' })
  } catch (error) {
    if (!(error instanceof SettingsError || (error as NodeJS.ErrnoException).syscall === 'listen')) throw error
    process.stderr.write(`${(error as Error).message}\n`)
    process.exit(1)
  }
}
