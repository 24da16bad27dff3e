import { readFileSync } from 'node:fs'
import { Type, type Static, type TSchema } from 'typebox'
import { ServerSettings, SettingsError, loadSettings } from '#common/config.ts'
import { violations } from '#common/http/validation.ts'
import { CertificateSettings, readCertificate } from '../certificate.ts'
import { identities } from './access.ts'

const Settings = Type.Object({
  ...ServerSettings,
  ...CertificateSettings,
  /** Where the encrypted file is. */
  DATA_DIR: Type.String({ minLength: 1 }),
  /** The key that encrypts it: 32 bytes in base64url. Created with the first start. */
  UNSEAL_KEY_FILE: Type.String({ minLength: 1 }),
  /** JSON: the SHA-256, in hex, of the header by which each identity's processes get their tokens. */
  IDENTITIES_FILE: Type.String({ minLength: 1 }),
  /** The resource of the tokens. The vault's own host must be below it: clients check that. */
  RESOURCE: Type.String({ default: 'https://vault.localhost', format: 'https-url' })
})

const HeaderDigests = Type.Record(Type.String(), Type.String({ pattern: '^[0-9a-f]{64}$' }))

export type Config = ReturnType<typeof loadConfig>

/** @throws {SettingsError} */
export function loadConfig (env: NodeJS.ProcessEnv) {
  const settings = loadSettings(Settings, env)
  return {
    ...settings,
    RESOURCE: settings.RESOURCE.replace(/\/$/, ''),
    headerDigests: readDigests(settings.IDENTITIES_FILE),
    tls: readCertificate(settings)
  }
}

/** The digests by the names of the identities. */
function readDigests (file: string) {
  const digests = Object.entries(readJson(file, HeaderDigests))
  const unknown = digests.map(([name]) => name).filter((name) => !identities.some((one) => one.name === name))
  if (unknown.length > 0) throw new SettingsError(`${file}: access.json does not name ${unknown.join(', ')}`)
  return new Map(digests.map(([name, digest]) => [name, Buffer.from(digest, 'hex')]))
}

/** @throws {SettingsError} that names what is wrong with the file, and no value of it */
function readJson<T extends TSchema> (file: string, schema: T): Static<T> {
  let content: unknown
  try {
    content = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new SettingsError(`${file} ${code ? `cannot be read (${code})` : 'is not JSON'}`)
  }
  const [problem] = violations(schema, content)
  if (problem) throw new SettingsError(`${file}: ${problem.pointer} ${problem.message}`)
  return content as Static<T>
}
