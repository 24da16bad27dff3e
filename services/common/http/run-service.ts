import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import closeWithGrace, { type Options } from 'close-with-grace'
import type { FastifyInstance } from 'fastify'
import { SettingsError, type SecretSettings } from '../config.ts'
import { isVault } from '../secrets/key-vault.ts'
import { Telemetry, type TelemetryConfig } from '../telemetry/telemetry.ts'

/** Container Apps kills a replica 30 s after SIGTERM. */
const CLOSING_MS = 25_000
/** The first requests, and the services that start beside this one, come before telemetry. */
const EXPORTER_DELAY_MS = 2_000

interface ServiceConfig extends Partial<TelemetryConfig> {
  HOST: string
  PORT: number
  DRAIN_SECONDS?: number
  secrets?: SecretSettings
}

/**
 * Runs a service, which telemetry names `role`, from reading its settings to its end.
 *
 * At SIGTERM it still accepts requests for DRAIN_SECONDS, so that its callers can change to other replicas.
 * Then, or at SIGINT, it finishes the requests in flight and closes the app. Invalid settings or a port in
 * use end the process with status 1 and one line on stderr.
 */
export async function runService<C extends ServiceConfig> (
  role: string, loadConfig: () => C, buildApp: (config: C) => Promise<FastifyInstance>
) {
  try {
    const config = loadConfig()
    const telemetry = openTelemetry(role, config)
    const app = await buildApp(config)
    const drainMs = (config.DRAIN_SECONDS ?? 0) * 1_000
    const options: Options = { delay: CLOSING_MS - drainMs, logger: false, skip: ['SIGTERM'] }
    const end = closeWithGrace(options, async ({ err, signal }) => {
      if (err) app.log.fatal({ err }, 'closing after an uncaught error')
      else app.log.info({ signal }, 'closing')
      await app.close()
      await telemetry?.close()
    })
    process.once('SIGTERM', async () => {
      if (drainMs > 0 && app.server.listening) await drain(app, drainMs)
      // A second one ends the process at once, as close-with-grace does for other signals
      process.on('SIGTERM', () => process.exit(1))
      end.close()
    })
    await app.listen({ host: config.HOST, port: config.PORT, listenTextResolver: () => 'listening' })
    telemetry?.start(app.log, EXPORTER_DELAY_MS)
  } catch (error) {
    const isExpected = error instanceof SettingsError || (error as NodeJS.ErrnoException).syscall === 'listen'
    if (!isExpected) throw error
    process.stderr.write(`${(error as Error).message}\n`)
    process.exit(1)
  }
}

/** Starts to collect telemetry, where it is enabled: the app makes calls before it listens. */
export function openTelemetry (role: string, config: Omit<ServiceConfig, 'HOST' | 'PORT'>) {
  const { TELEMETRY_SAMPLING = 1, TELEMETRY_AUTHENTICATION, secrets } = config
  const connectionString = config.APPLICATIONINSIGHTS_CONNECTION_STRING
  if (connectionString === undefined) return undefined
  const clientId = secrets && isVault(secrets.source) ? secrets.source.AZURE_CLIENT_ID : undefined
  const authenticated = TELEMETRY_AUTHENTICATION === 'identity'
  return new Telemetry({ role, connectionString, authenticated, clientId }, TELEMETRY_SAMPLING)
}

/** Waits while callers change to other replicas: for `ms`, or until another SIGTERM. */
async function drain (app: FastifyInstance, ms: number) {
  app.log.info({ ms }, 'draining')
  app.drain()
  await Promise.race([sleep(ms), once(process, 'SIGTERM')])
}
