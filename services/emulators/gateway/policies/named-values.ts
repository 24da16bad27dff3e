import type { Config } from '../config.ts'

/** Where a host key that is a setting is read: a vault that has this one version, in this process. */
export const SETTINGS_VAULT = 'https://settings'

const UNCHANGING_SECONDS = 60

/** What stands for the named values of API Management: this gateway's settings. 0 calls are no limit. */
export function namedValuesOf ({ PATIENT_URL, RATE_LIMIT, CALLS_PER_DAY, secrets: { source } }: Config): Record<string, string> {
  const vault = 'KEY_VAULT_URI' in source ? source as { KEY_VAULT_URI: string, AZURE_CLIENT_ID?: string, KEY_REFRESH_SECONDS: number } : undefined
  return {
    'patient-backend-url': new URL(PATIENT_URL).origin,
    'key-vault-uri': vault ? new URL(vault.KEY_VAULT_URI).origin : SETTINGS_VAULT,
    'host-key-cache-seconds': String(vault?.KEY_REFRESH_SECONDS ?? UNCHANGING_SECONDS),
    'gateway-identity-client-id': vault?.AZURE_CLIENT_ID ?? '',
    'calls-per-minute': String(RATE_LIMIT),
    'calls-per-day': String(CALLS_PER_DAY)
  }
}
