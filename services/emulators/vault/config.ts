import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { Type, type Static } from 'typebox'
import { ServerSettings, SettingsError, loadSettings } from '#common/config.ts'
import { loadAccess, readJson, type Identity } from './access.ts'

const Settings = Type.Object({
  ...ServerSettings,
  /** Where the sealed file lives. */
  DATA_DIR: Type.String({ minLength: 1 }),
  /** What the file is sealed with: 32 bytes in base64url. Made where it is missing. */
  UNSEAL_KEY_FILE: Type.String({ minLength: 1 }),
  /** JSON: the SHA-256, in hex, of the header by which each identity's processes get their tokens. */
  IDENTITIES_FILE: Type.String({ minLength: 1 }),
  TLS_CERT_FILE: Type.String({ minLength: 1 }),
  TLS_KEY_FILE: Type.String({ minLength: 1 }),
  /** What tokens are for. The vault's own host must be below it: clients check that. */
  RESOURCE: Type.String({ default: 'https://vault.localhost', format: 'https-url' })
})

const HeaderDigests = Type.Record(Type.String(), Type.String({ pattern: '^[0-9a-f]{64}$' }))

export interface Config extends Omit<Static<typeof Settings>, 'IDENTITIES_FILE' | 'TLS_CERT_FILE' | 'TLS_KEY_FILE'> {
  identities: Identity[]
  /** By the names of identities. */
  headerDigests: Map<string, Buffer>
  tls: { cert: string, key: string }
}

/** @throws {SettingsError} */
export function loadConfig (env: NodeJS.ProcessEnv): Config {
  const { IDENTITIES_FILE, TLS_CERT_FILE, TLS_KEY_FILE, ...settings } = loadSettings(Settings, env)
  const identities = loadAccess()
  return {
    ...settings,
    RESOURCE: settings.RESOURCE.replace(/\/$/, ''),
    identities,
    headerDigests: readDigests(IDENTITIES_FILE, identities),
    tls: readCertificate(TLS_CERT_FILE, TLS_KEY_FILE)
  }
}

function readDigests (file: string, identities: Identity[]) {
  const digests = Object.entries(readJson(file, HeaderDigests))
  const unknown = digests.filter(([name]) => !identities.some((identity) => identity.name === name))
  if (unknown.length > 0) throw new SettingsError(`${file}: access.json does not name ${unknown.map(([name]) => name).join(', ')}`)
  return new Map(digests.map(([name, digest]) => [name, Buffer.from(digest, 'hex')]))
}

function readCertificate (certFile: string, keyFile: string) {
  try {
    const tls = { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') }
    createSecureContext(tls)
    return tls
  } catch (error) {
    throw new SettingsError(`Settings: TLS_CERT_FILE and TLS_KEY_FILE cannot be used (${(error as NodeJS.ErrnoException).code})`)
  }
}
