import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { generate } from 'selfsigned'
import { replaceFile } from '#common/files.ts'

const YEARS_MS = 5 * 365 * 24 * 60 * 60 * 1_000
const MINUTE_MS = 60 * 1_000

/**
 * Writes a certificate authority to `dir`/ca.pem, for NODE_EXTRA_CA_CERTS, and for each of `names` a
 * certificate and its key to `dir`/<name>.pem and <name>-key.pem.
 *
 * The certificate of `vault` is valid for vault.localhost, its direct subdomains, localhost and 127.0.0.1,
 * for five years. The key of the authority is not stored, so it can sign nothing else.
 */
export async function makeCertificates (dir: string, names: string[]) {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const now = Date.now()
  const options = {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    // A clock that is set back a little must not make the certificates invalid
    notBeforeDate: new Date(now - MINUTE_MS),
    notAfterDate: new Date(now + YEARS_MS)
  } as const

  const authority = `local authority of ${new Date(now).toISOString()}`
  const { private: key, cert } = await generate([{ name: 'commonName', value: authority }], {
    ...options,
    extensions: [
      { name: 'basicConstraints', cA: true, pathLenConstraint: 0, critical: true },
      { name: 'keyUsage', keyCertSign: true, critical: true }
    ]
  })
  for (const name of names) {
    const leaf = await generate([{ name: 'commonName', value: `${name}.localhost` }], {
      ...options,
      ca: { key, cert },
      extensions: [
        { name: 'basicConstraints', cA: false, critical: true },
        { name: 'keyUsage', digitalSignature: true, critical: true },
        { name: 'extKeyUsage', serverAuth: true },
        {
          name: 'subjectAltName',
          altNames: [
            { type: 2, value: `*.${name}.localhost` },
            { type: 2, value: `${name}.localhost` },
            { type: 2, value: 'localhost' },
            { type: 7, ip: '127.0.0.1' }
          ]
        }
      ]
    })
    replaceFile(join(dir, `${name}-key.pem`), leaf.private)
    replaceFile(join(dir, `${name}.pem`), leaf.cert, 0o644)
  }
  replaceFile(join(dir, 'ca.pem'), cert, 0o644)
}
