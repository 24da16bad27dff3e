import { fileURLToPath } from 'node:url'
import { AllowListSettings } from '#common/guard/allow-list.ts'
import {
  DrainSettings, loadWithSecrets, RegisterSettings, ServerSettings, SettingsError, TelemetrySettings
} from '#common/config.ts'
import { databaseName } from '#common/database.ts'
import { Type } from 'typebox'
import { parseWitnesses } from './log/witnesses.ts'
import { UsualHours } from './review/usual-hours.ts'

const CHECK_PROOF_DIR = fileURLToPath(new URL('../../docs/check-proof', import.meta.url))

const Settings = Type.Object({
  ...ServerSettings,
  ...TelemetrySettings,
  ...DrainSettings,
  ...AllowListSettings,
  DATABASE_NAME: databaseName('audit'),
  ...RegisterSettings,
  /** The program that checks proofs, which is added to evidence. */
  CHECK_PROOF_DIR: Type.String({ default: CHECK_PROOF_DIR })
})

const secrets = {
  'audit-host-key': 'host-key',
  'audit-query-key': 'host-key',
  'audit-log-key': 'key-256',
  'audit-db-connection': 'mongodb-uri'
} as const

export type Config = ReturnType<typeof loadConfig>

/** @throws {SettingsError} */
export function loadConfig (env: NodeJS.ProcessEnv) {
  const settings = loadWithSecrets(Settings, secrets, env)
  return { ...settings, witnesses: parseWitnesses(settings.WITNESSES), usualHours: usualHoursOf(settings) }
}

/** @throws {SettingsError} there is no such time zone */
function usualHoursOf ({ USUAL_HOURS, TIME_ZONE }: Record<'USUAL_HOURS' | 'TIME_ZONE', string>) {
  try {
    return new UsualHours(USUAL_HOURS, TIME_ZONE)
  } catch {
    throw new SettingsError('Settings: TIME_ZONE must be a time zone of the IANA database')
  }
}
