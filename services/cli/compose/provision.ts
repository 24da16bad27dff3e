import { readFileSync } from 'node:fs'
import { Type } from 'typebox'
import { KeyVaultSettings, RegisterSettings, SettingsError, loadSettings } from '#common/config.ts'
import { openKeyVault } from '#common/secrets/key-vault.ts'
import { provision } from '../system/provision.ts'
import { StartError } from '../system/state.ts'

// Fills the vault of the containers and creates the users of both databases, before the services start

const Settings = Type.Object({
  ...KeyVaultSettings,
  SUBSCRIPTION_KEY: Type.Optional(Type.String({ pattern: '^[\\x21-\\x7e]{1,256}$' })),
  /** The first values of keys, whose public keys other containers have. */
  AUDIT_LOG_KEY: Type.String({ format: 'key-256' }),
  WITNESS_KEY: Type.String({ format: 'key-256' }),
  LOG_ORIGIN: RegisterSettings.LOG_ORIGIN,
  PATIENT_DB_ADDRESS: Type.String(),
  AUDIT_DB_ADDRESS: Type.String(),
  PATIENT_DB_ROOT_PASSWORD_FILE: Type.String(),
  AUDIT_DB_ROOT_PASSWORD_FILE: Type.String()
})

try {
  const settings = loadSettings(Settings, process.env)
  const server = (address: string, passwordFile: string) =>
    ({ address, rootPassword: readFileSync(passwordFile, 'utf8').trim() })
  const { keys, publicKeys } = await provision(await openKeyVault(settings), {
    subscriptionKey: settings.SUBSCRIPTION_KEY,
    logOrigin: settings.LOG_ORIGIN,
    firstKeys: { 'audit-log-key': settings.AUDIT_LOG_KEY, 'witness-key': settings.WITNESS_KEY },
    patient: {
      database: 'patient',
      server: server(settings.PATIENT_DB_ADDRESS, settings.PATIENT_DB_ROOT_PASSWORD_FILE)
    },
    audit: {
      database: 'audit',
      server: server(settings.AUDIT_DB_ADDRESS, settings.AUDIT_DB_ROOT_PASSWORD_FILE)
    }
  })
  process.stdout.write(`Subscription key: ${keys.client}
Subscription key of an auditor: ${keys.auditor}
Public key of the log: ${publicKeys.log}
Public key of the witness: ${publicKeys.witness}
`)
} catch (error) {
  if (!(error instanceof StartError || error instanceof SettingsError)) throw error
  process.stderr.write(`provision: ${error.message}\n`)
  process.exitCode = 1
}
