import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import tls from 'node:tls'
import access from '../../access.json' with { type: 'json' }
import { StartError, identityFile, readRun } from './state.ts'

export type Identity = keyof typeof access

export const identities = Object.keys(access) as Identity[]

export const clientIdOf = (identity: Identity) => access[identity].clientId

/** The settings of a process that opens the vault at `url` as `identity`, with the header of its tokens. */
export function settingsOf (identity: Identity, url: string, header: string) {
  return {
    KEY_VAULT_URI: url,
    AZURE_CLIENT_ID: clientIdOf(identity),
    IDENTITY_ENDPOINT: `${url}/msi/token`,
    IDENTITY_HEADER: header
  }
}

/** Lets this process open a vault with the `settings` of an identity and the authority in `authorityFile`. */
export async function assume (settings: NodeJS.ProcessEnv, authorityFile: string) {
  Object.assign(process.env, settings)
  await import('../../emulators/processes/localhost.ts')
  // NODE_EXTRA_CA_CERTS only takes effect at the start of a process
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), readFileSync(authorityFile, 'utf8')])
}

/**
 * Lets this process open the vault of the system that runs from `dir` as `identity`.
 *
 * @throws {StartError} no system runs from `dir`
 */
export async function actAs (identity: Identity, dir: string) {
  try {
    const run = readRun(dir)
    const settings = settingsOf(identity, run.vault.url, readFileSync(identityFile(dir, identity), 'utf8'))
    await assume(settings, join(dir, 'certificates/ca.pem'))
    return { ...run, settings }
  } catch {
    throw new StartError('no system runs here; run npm start first')
  }
}
