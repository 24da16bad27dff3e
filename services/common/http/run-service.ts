import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import closeWithGrace from 'close-with-grace'
import type { FastifyInstance } from 'fastify'
import { SettingsError, type SecretSettings } from '../config.ts'
import { isVault } from '../secrets/key-vault.ts'
import { Telemetry, type TelemetryConfig } from '../telemetry/telemetry.ts'

/** Container Apps kills a replica 30 s after SIGTERM. */
const CLOSING_MS = 25_000

interface Listening {
  HOST: string
  PORT: number
  DRAIN_SECONDS?: number
}

interface Told extends Partial<TelemetryConfig> {
  secrets?: SecretSettings
}

/**
 * The life of a service's process: it reads its settings, listens, and at SIGTERM or SIGINT lets the requests in
 * flight finish and closes what the app holds; before that, at SIGTERM, it serves on for DRAIN_SECONDS, so that its
 * callers turn to other replicas. Wrong settings and a taken port end it with one line. Where a setting says so, what it
 * serves is told as `role`.
 */
export async function runService<C extends Listening & Told> (role: string, loadConfig: () => C, buildApp: (config: C) => Promise<FastifyInstance>) {
  try {
    const config = loadConfig()
    const telemetry = openTelemetry(role, config)
    const app = await buildApp(config)
    const drainMs = (config.DRAIN_SECONDS ?? 0) * 1_000
    const end = closeWithGrace({ delay: CLOSING_MS - drainMs, logger: false, skip: ['SIGTERM'] }, async ({ err, signal }) => {
      if (err) app.log.fatal({ err }, 'ending after a defect')
      else app.log.info({ signal }, 'closing')
      await app.close()
      await telemetry?.close()
    })
    process.once('SIGTERM', async () => {
      if (drainMs > 0 && app.server.listening) await drained(app, drainMs)
      // As every other signal while the process closes
      process.on('SIGTERM', () => process.exit(1))
      end.close()
    })
    await app.listen({ host: config.HOST, port: config.PORT, listenTextResolver: () => 'listening' })
    telemetry?.start(app.log)
  } catch (error) {
    if (!(error instanceof SettingsError || (error as NodeJS.ErrnoException).syscall === 'listen')) throw error
    process.stderr.write(`${(error as Error).message}\n`)
    process.exit(1)
  }
}

/** Notes what is served from now on, where that is to be told: calls are made before the app listens. */
function openTelemetry (role: string, config: Told) {
  const { APPLICATIONINSIGHTS_CONNECTION_STRING: connectionString, TELEMETRY_SAMPLING = 1, TELEMETRY_AUTHENTICATION, secrets } = config
  if (connectionString === undefined) return undefined
  const clientId = secrets && isVault(secrets.source) ? secrets.source.AZURE_CLIENT_ID : undefined
  return new Telemetry({ role, connectionString, authenticated: TELEMETRY_AUTHENTICATION === 'identity', clientId }, TELEMETRY_SAMPLING)
}

/** Serves on for `ms`, or until another SIGTERM. */
async function drained (app: FastifyInstance, ms: number) {
  app.log.info({ ms }, 'draining')
  app.drain()
  await Promise.race([sleep(ms), once(process, 'SIGTERM')])
}
