import { SettingsError } from '#common/config.ts'
import { DatabaseUnavailable } from '#common/http/problems.ts'
import { openTelemetry } from '#common/http/run-service.ts'
import { loadConfig } from './config.ts'
import { LogDamaged } from './log/damage.ts'
import { sequence } from './sequence.ts'

// A job with the settings of the audit service: adds what its replicas left out of the log, and has it
// witnessed. So neither waits for a request where the service is scaled to zero.

try {
  const config = loadConfig(process.env)
  const telemetry = openTelemetry('audit', config)
  const onReady = telemetry && telemetry.start.bind(telemetry)
  const { size, unwitnessed } = await sequence(config, { onReady }).finally(() => telemetry?.close())
  process.stdout.write(`the log has ${size} records\n`)
  if (unwitnessed.length > 0) throw new Error(`not witnessed by ${unwitnessed.join(', ')}`)
} catch (error) {
  const { message, stack } = error as Error
  const isExpected = [SettingsError, DatabaseUnavailable, LogDamaged].some((type) => error instanceof type)
  process.stderr.write(`sequence: ${isExpected ? message : stack}\n`)
  process.exitCode = 1
}
