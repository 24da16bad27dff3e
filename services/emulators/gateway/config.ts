import { fileURLToPath } from 'node:url'
import { Type } from 'typebox'
import {
  CallerSettings, DrainSettings, ServerSettings, TelemetrySettings, loadWithSecrets
} from '#common/config.ts'

/** The policy documents that Terraform deploys to API Management. */
const POLICIES_DIR = fileURLToPath(new URL('../../../terraform/policies', import.meta.url))

const Settings = Type.Object({
  ...ServerSettings,
  ...TelemetrySettings,
  ...DrainSettings,
  PATIENT_URL: Type.String({ format: 'http-url' }),
  AUDIT_URL: Type.String({ format: 'http-url' }),
  /** The auditor's page; without it, the gateway has none. */
  AUDITOR_URL: Type.Optional(Type.String({ format: 'http-url' })),
  /** Calls a minute for each subscription; 0 is no limit. */
  RATE_LIMIT: Type.Integer({ default: 0, minimum: 0 }),
  /** Calls a day for each subscription; 0 is no limit. */
  CALLS_PER_DAY: Type.Integer({ default: 0, minimum: 0 }),
  ...CallerSettings,
  /** Origins of web pages that may call the API, separated by commas: https://a.example,https://b.example */
  CORS_ORIGINS: Type.Optional(Type.String({ pattern: '^https?://[^\\s,/*]+(,https?://[^\\s,/*]+)*$' })),
  /** The longest that the service may take to respond, whatever the policies say. */
  TIMEOUT_MS: Type.Integer({ default: 60_000, minimum: 1 }),
  /** How long superseded keys stay valid in a rotation; policies must cache keys for less than half of it. */
  KEY_GRACE_SECONDS: Type.Number({ default: 600, minimum: 3 }),
  /** The directory of the policy documents. */
  POLICIES_DIR: Type.String({ default: POLICIES_DIR })
})

const secrets = {
  'patient-host-key': 'host-key',
  'audit-query-key': 'host-key',
  'gateway-subscription-keys': 'json'
} as const

export type Config = ReturnType<typeof loadConfig>

/** @throws {SettingsError} */
export const loadConfig = (env: NodeJS.ProcessEnv) => loadWithSecrets(Settings, secrets, env)
