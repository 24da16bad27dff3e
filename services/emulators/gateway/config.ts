import { fileURLToPath } from 'node:url'
import { Type } from 'typebox'
import {
  CallerSettings, DrainSettings, ServerSettings, TelemetrySettings, loadWithSecrets
} from '#common/config.ts'

/** The policy documents that Terraform deploys to API Management. */
const POLICIES_DIR = fileURLToPath(new URL('../../../terraform/policies', import.meta.url))

const QUICK_START_DIR = fileURLToPath(new URL('../../../docs/quick-start', import.meta.url))

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
  POLICIES_DIR: Type.String({ default: POLICIES_DIR }),
  /** Whether the pages for developers are served, and to people on this machine with subscription keys. */
  PORTAL: Type.Enum(['off', 'on', 'with-keys'], { default: 'off', type: 'string' }),
  /** Health checks beside those of both services that the portal shows: name=URL, separated by blanks. */
  PORTAL_CHECKS: Type.String({ default: '', pattern: '^([a-z-]+=https?://\\S+( |$))*$' }),
  /** The pages of the monitor, to which the portal has links. */
  MONITOR_URL: Type.Optional(Type.String({ format: 'http-url' })),
  /** The directory of the quick starts that the portal shows. */
  QUICK_START_DIR: Type.String({ default: QUICK_START_DIR })
})

const secrets = {
  'patient-host-key': 'host-key',
  'audit-query-key': 'host-key',
  'gateway-subscription-keys': 'json'
} as const

export type Config = ReturnType<typeof loadConfig>

/** @throws {SettingsError} */
export const loadConfig = (env: NodeJS.ProcessEnv) => loadWithSecrets(Settings, secrets, env)
