import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import tls from 'node:tls'
import access from '../../access.json' with { type: 'json' }
import { StartError, identityFile, readRun, type Run } from './state.ts'

export type Identity = keyof typeof access

export const identities = Object.keys(access) as Identity[]

export const clientIdOf = (identity: Identity) => access[identity].clientId

/** The settings by which a process opens the vault at `url` as `identity`; who has its `header` gets its tokens. */
export function settingsOf (identity: Identity, url: string, header: string) {
  return {
    KEY_VAULT_URI: url,
    AZURE_CLIENT_ID: clientIdOf(identity),
    IDENTITY_ENDPOINT: `${url}/msi/token`,
    IDENTITY_HEADER: header
  }
}

/**
 * Makes this process one that opens the vault of the system running from `dir` as `identity`; answers its settings.
 *
 * @throws {StartError} where none runs
 */
export async function actAs (identity: Identity, dir: string): Promise<Run & { settings: ReturnType<typeof settingsOf> }> {
  try {
    const run = readRun(dir)
    const settings = settingsOf(identity, run.vault.url, readFileSync(identityFile(dir, identity), 'utf8'))
    Object.assign(process.env, settings)
    await import('../../emulators/processes/localhost.ts')
    trust(readFileSync(join(dir, 'certificates/ca.pem'), 'utf8'))
    return { ...run, settings }
  } catch {
    throw new StartError('nothing runs here; npm start first')
  }
}

/** Has this process take certificates by `authority` too; in the environment it would have to stand from the start. */
function trust (authority: string) {
  tls.setDefaultCACertificates([...tls.getCACertificates('default'), authority])
}
