import { fileURLToPath, pathToFileURL } from 'node:url'
import { accepts, answers } from '../../emulators/processes/probes.ts'
import type { Config } from './config.ts'
import { settingsOf, type Identity } from './identity.ts'
import type { WantedDatabase } from './provision.ts'
import type { PublicKeys } from './public-keys.ts'

export const HOST = '127.0.0.1'
const LOCAL_ADDRESSES = '127.0.0.1/32,::1/128'

/** The processes, in the order in which they are stopped. */
export const NAMES = [
  'gateway', 'auditor', 'patient', 'audit', 'witness', 'database', 'monitor', 'vault'
] as const
export type Name = typeof NAMES[number]
export type Service = 'patient' | 'audit'

/** What the processes of one system share. */
export interface System {
  config: Config
  /** Whether each service runs behind an ingress that starts and stops its replicas. */
  scaleToZero: boolean
  /** Whether the local monitor receives the telemetry. */
  monitored: boolean
  /** Whether the gateway serves the auditor's page. */
  hasAuditorPage: boolean
  ports: Record<Name | 'ingestion', number>
  databases: Record<Service, WantedDatabase>
  /** Whether a database is on the embedded server. */
  embedded: boolean
  /** The header with which the vault issues tokens of each identity. */
  headers: Record<Identity, string>
  /** The file of the certificate authorities that the processes trust. */
  authorities: string
  path: (name: string) => string
  /** The public keys of the log and the witness, once the vault has them. */
  publicKeys?: PublicKeys
}

interface Definition {
  module: URL
  settings: NodeJS.ProcessEnv
  isReady: () => Promise<boolean>
}

export const urlOf = ({ ports }: System, name: Name) => `http://${HOST}:${ports[name]}`

export const databaseUrlOf = ({ ports }: System) => `mongodb://${HOST}:${ports.database}/`

// The SDK requires that the host name of a vault ends with that of its tokens' resource
export const vaultUrlOf = ({ ports }: System) => `https://local.vault.localhost:${ports.vault}`

/** The settings of a process that opens the vault as `identity`. */
export function identitySettings (system: System, identity: Identity): NodeJS.ProcessEnv {
  return {
    ...settingsOf(identity, vaultUrlOf(system), system.headers[identity]),
    NODE_EXTRA_CA_CERTS: system.authorities,
    KEY_REFRESH_SECONDS: String(system.config.KEY_REFRESH_SECONDS)
  }
}

/** The processes of a system: their modules, their own settings and the checks that they are ready. */
export function processesOf (system: System): Record<Name, Definition> {
  const { config, ports, databases, monitored, hasAuditorPage, path, publicKeys } = system
  const telemetry = telemetrySettings(system)
  return {
    vault: {
      module: moduleOf('emulators/vault'),
      settings: {
        DATA_DIR: path('vault'),
        UNSEAL_KEY_FILE: path('unseal-key'),
        IDENTITIES_FILE: path('identities/digests.json'),
        ...certificateSettings(system, 'vault')
      },
      isReady: () => accepts(ports.vault)
    },
    database: {
      module: moduleOf('emulators/mongodb'),
      settings: { DATA_DIR: path('database') },
      isReady: () => accepts(ports.database)
    },
    monitor: {
      module: moduleOf('emulators/monitor'),
      settings: {
        ...identitySettings(system, 'viewer'),
        ...certificateSettings(system, 'monitor'),
        INGESTION_PORT: String(ports.ingestion),
        DATABASE_NAME: databases.audit.database
      },
      isReady: () => accepts(ports.ingestion)
    },
    audit: service(system, 'audit', {
      ...telemetry,
      ...registerSettings(system)
    }),
    witness: {
      module: bundled(config, 'witness') ?? moduleOf('witness'),
      settings: {
        ...identitySettings(system, 'witness'),
        ...telemetry,
        ALLOWED_CALLERS: LOCAL_ADDRESSES,
        CALLER_ADDRESS: 'peer',
        LOGS: publicKeys?.log,
        STORE_DIR: path('witness')
      },
      isReady: () => answers(`${urlOf(system, 'witness')}/health/ready`)
    },
    patient: service(system, 'patient', {
      ...telemetry,
      AUDIT_URL: urlOf(system, 'audit'),
      DEFAULT_REGION: config.DEFAULT_REGION,
      DELETION_GRACE_DAYS: String(config.DELETION_GRACE_DAYS)
    }),
    auditor: {
      module: bundled(config, 'auditor') ?? moduleOf('auditor'),
      settings: {
        ...identitySettings(system, 'auditor'),
        ...telemetry,
        GATEWAY_URL: urlOf(system, 'gateway'),
        MONITOR_URL: monitored ? urlOf(system, 'monitor') : undefined,
        WITNESS_KEYS: publicKeys?.witness,
        SECURE_COOKIES: 'false'
      },
      isReady: () => answers(`${urlOf(system, 'auditor')}/health/ready`)
    },
    gateway: {
      module: moduleOf('emulators/gateway'),
      settings: {
        ...identitySettings(system, 'gateway'),
        ...telemetry,
        PATIENT_URL: urlOf(system, 'patient'),
        AUDIT_URL: urlOf(system, 'audit'),
        AUDITOR_URL: hasAuditorPage ? urlOf(system, 'auditor') : undefined,
        RATE_LIMIT: String(config.RATE_LIMIT),
        REQUIRE_ON_BEHALF_OF: config.REQUIRE_ON_BEHALF_OF,
        REQUIRE_PURPOSE_OF_USE: config.REQUIRE_PURPOSE_OF_USE,
        CORS_ORIGINS: config.CORS_ORIGINS,
        ...portalSettings(system)
      },
      isReady: () => answers(`${urlOf(system, 'gateway')}/status-0123456789abcdef`)
    }
  }
}

/** The portal has the keys of this system, and links to what else runs in it. */
function portalSettings (system: System): NodeJS.ProcessEnv {
  const monitor = system.monitored ? `${urlOf(system, 'monitor')}/` : undefined
  const others = [`witness=${urlOf(system, 'witness')}/health/ready`]
  if (monitor) others.push(`monitor=${monitor}health/ready`)
  return { PORTAL: 'with-keys', PORTAL_CHECKS: others.join(' '), MONITOR_URL: monitor }
}

const CHECK_PROOF_DIR = fileURLToPath(import.meta.resolve('../../../docs/check-proof'))

/** The settings of the audit service that concern the log and questions. */
export function registerSettings (system: System) {
  const { config: { LOG_ORIGIN, QUERY_MAX_DAYS, USUAL_HOURS, TIME_ZONE, WITNESSES }, publicKeys } = system
  return {
    LOG_ORIGIN,
    QUERY_MAX_DAYS: String(QUERY_MAX_DAYS),
    USUAL_HOURS,
    TIME_ZONE,
    // A bundle does not find it beside its sources
    CHECK_PROOF_DIR,
    WITNESSES: `${publicKeys?.witness} ${urlOf(system, 'witness')} ${WITNESSES}`
  }
}

function service (system: System, name: Service, more: NodeJS.ProcessEnv): Definition {
  const { config, scaleToZero, databases, ports } = system
  const module = bundled(config, name) ?? moduleOf(name)
  const settings = {
    ...identitySettings(system, name),
    ...more,
    ALLOWED_CALLERS: LOCAL_ADDRESSES,
    CALLER_ADDRESS: scaleToZero ? 'forwarded' : 'peer',
    DATABASE_NAME: databases[name].database
  }
  if (!scaleToZero) return { module, settings, isReady: () => answers(`${urlOf(system, name)}/health/ready`) }
  const { IDLE_SECONDS, MAX_REPLICAS, CONCURRENT_REQUESTS } = config
  return {
    module: moduleOf('emulators/ingress'),
    settings: {
      ...settings,
      IDLE_SECONDS: String(IDLE_SECONDS),
      MAX_REPLICAS: String(MAX_REPLICAS),
      CONCURRENT_REQUESTS: String(CONCURRENT_REQUESTS),
      APP_NAME: name,
      APP_MODULE: fileURLToPath(module)
    },
    // A request would start the service
    isReady: () => accepts(ports[name])
  }
}

function telemetrySettings ({ config, monitored, ports }: System): NodeJS.ProcessEnv {
  const local = 'InstrumentationKey=00000000-0000-0000-0000-000000000000;' +
    `IngestionEndpoint=https://localhost:${ports.ingestion}/`
  return {
    APPLICATIONINSIGHTS_CONNECTION_STRING: monitored ? local : config.APPLICATIONINSIGHTS_CONNECTION_STRING,
    TELEMETRY_SAMPLING: String(config.TELEMETRY_SAMPLING)
  }
}

function certificateSettings ({ path }: System, name: string): NodeJS.ProcessEnv {
  const file = path(`certificates/${name}`)
  return { TLS_CERT_FILE: `${file}.pem`, TLS_KEY_FILE: `${file}-key.pem` }
}

/** The bundle of a service, where the system runs bundles. */
function bundled ({ BUNDLE_DIR }: Config, name: string) {
  return BUNDLE_DIR === undefined ? undefined : pathToFileURL(`${BUNDLE_DIR}/${name}/main.mjs`)
}

function moduleOf (folder: string) {
  return new URL(`../../${folder}/main.ts`, import.meta.url)
}
