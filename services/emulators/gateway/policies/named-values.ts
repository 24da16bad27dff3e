import type { Config } from '../config.ts'

/** A vault in this process, whose one version of the host key is the setting. */
export const SETTINGS_VAULT = 'https://settings'

const UNCHANGING_SECONDS = 60

/** The named values of API Management, from the settings of this gateway. 0 calls are no limit. */
export function namedValuesOf ({ secrets: { source }, ...config }: Config): Record<string, string> {
  const vault = 'KEY_VAULT_URI' in source ? source as { KEY_VAULT_URI: string, AZURE_CLIENT_ID?: string, KEY_REFRESH_SECONDS: number } : undefined
  return {
    'patient-backend-url': new URL(config.PATIENT_URL).origin,
    'key-vault-uri': vault ? new URL(vault.KEY_VAULT_URI).origin : SETTINGS_VAULT,
    'host-key-cache-seconds': String(vault?.KEY_REFRESH_SECONDS ?? UNCHANGING_SECONDS),
    'gateway-identity-client-id': vault?.AZURE_CLIENT_ID ?? '',
    'calls-per-minute': String(config.RATE_LIMIT),
    'calls-per-day': String(config.CALLS_PER_DAY),
    'cors-origins': config.CORS_ORIGINS ?? ''
  }
}
