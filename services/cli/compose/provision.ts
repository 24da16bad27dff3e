import { readFileSync } from 'node:fs'
import { Type } from 'typebox'
import { KeyVaultSettings, SettingsError, loadSettings } from '#common/config.ts'
import { openKeyVault } from '#common/secrets/key-vault.ts'
import { provision } from '../system/provision.ts'
import { StartError } from '../system/state.ts'

// Fills the vault of the containers and creates the users of both databases, before the services start

const Settings = Type.Object({
  ...KeyVaultSettings,
  SUBSCRIPTION_KEY: Type.Optional(Type.String({ pattern: '^[\\x21-\\x7e]{1,256}$' })),
  PATIENT_DB_ADDRESS: Type.String(),
  AUDIT_DB_ADDRESS: Type.String(),
  PATIENT_DB_ROOT_PASSWORD_FILE: Type.String(),
  AUDIT_DB_ROOT_PASSWORD_FILE: Type.String()
})

try {
  const settings = loadSettings(Settings, process.env)
  const server = (address: string, passwordFile: string) =>
    ({ address, rootPassword: readFileSync(passwordFile, 'utf8').trim() })
  const keys = await provision(await openKeyVault(settings), {
    subscriptionKey: settings.SUBSCRIPTION_KEY,
    patient: {
      database: 'patient',
      server: server(settings.PATIENT_DB_ADDRESS, settings.PATIENT_DB_ROOT_PASSWORD_FILE)
    },
    audit: {
      database: 'audit',
      server: server(settings.AUDIT_DB_ADDRESS, settings.AUDIT_DB_ROOT_PASSWORD_FILE)
    }
  })
  process.stdout.write(`Subscription key: ${keys.client}\nSubscription key of an auditor: ${keys.auditor}\n`)
} catch (error) {
  if (!(error instanceof StartError || error instanceof SettingsError)) throw error
  process.stderr.write(`provision: ${error.message}\n`)
  process.exitCode = 1
}
