import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Type } from 'typebox'
import { RegisterSettings, loadSettings } from '#common/config.ts'
import { makeCertificates } from '../system/certificates.ts'
import { clientIdOf, identities, type Identity } from '../system/identity.ts'
import { publicKeysOf } from '../system/public-keys.ts'
import { newHeaders } from '../system/state.ts'

// Creates the secrets that containers need before the vault runs, in a volume for each container.
// Runs once, without a network. An interrupted run is repeated.

const dir = process.env.SECRETS_DIR ?? '/secrets'
// It is part of the public key that the witness trusts
const { LOG_ORIGIN, WITNESSES } = loadSettings(Type.Object(RegisterSettings), process.env)
const done = join(dir, 'vault/done')

const random = () => randomBytes(32).toString('base64url')

function write (name: string, content: string) {
  const file = join(dir, name)
  // Readable by any user, as only one container has the volume
  writeFileSync(file, content, { mode: 0o444, flush: true })
}

if (!existsSync(done)) {
  // The files of an interrupted run are read-only
  for (const volume of readdirSync(dir)) {
    for (const file of readdirSync(join(dir, volume))) chmodSync(join(dir, volume, file), 0o644)
  }

  const { headers, digests } = newHeaders(identities)
  const certificates = join(dir, 'vault')
  mkdirSync(certificates, { recursive: true })
  await makeCertificates(certificates, ['vault', 'monitor'])
  for (const name of ['monitor.pem', 'monitor-key.pem']) {
    write(`monitor/${name}`, readFileSync(join(certificates, name), 'utf8'))
    rmSync(join(certificates, name))
  }
  for (const name of ['vault.pem', 'vault-key.pem', 'ca.pem']) chmodSync(join(certificates, name), 0o444)
  write('vault/unseal-key', `${random()}\n`)
  write('vault/digests.json', JSON.stringify(digests))

  const authority = readFileSync(join(certificates, 'ca.pem'), 'utf8')
  // Log and witness know each other's public keys from the start
  const [logKey, witnessKey] = [random(), random()]
  const publicKeys = publicKeysOf(logKey, witnessKey, LOG_ORIGIN)
  const more: Partial<Record<Identity, string>> = {
    audit: `WITNESSES="${publicKeys.witness} http://witness:8080 ${WITNESSES}"\n`,
    witness: `LOGS="${publicKeys.log}"\n`,
    auditor: `WITNESS_KEYS="${publicKeys.witness}"\n`,
    deployer: `AUDIT_LOG_KEY=${logKey}\nWITNESS_KEY=${witnessKey}\n`
  }
  for (const name of identities.filter((name) => existsSync(join(dir, name)))) {
    const identity = `AZURE_CLIENT_ID=${clientIdOf(name)}\nIDENTITY_HEADER=${headers[name]}\n`
    write(`${name}/identity.env`, `${identity}${more[name] ?? ''}`)
    write(`${name}/ca.pem`, authority)
  }
  for (const database of ['patient-db', 'audit-db']) write(`${database}/root-password`, random())
  write('vault/done', '')
}
