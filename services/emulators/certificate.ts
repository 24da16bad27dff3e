import { readFileSync } from 'node:fs'
import { createSecureContext } from 'node:tls'
import { Type } from 'typebox'
import { SettingsError } from '#common/config.ts'

/** The settings of a server that uses TLS: files in PEM. */
export const CertificateSettings = {
  TLS_CERT_FILE: Type.String({ minLength: 1 }),
  TLS_KEY_FILE: Type.String({ minLength: 1 })
}

interface CertificateFiles {
  TLS_CERT_FILE: string
  TLS_KEY_FILE: string
}

/** @throws {SettingsError} if the files cannot be read or do not belong together */
export function readCertificate ({ TLS_CERT_FILE, TLS_KEY_FILE }: CertificateFiles) {
  try {
    const tls = { cert: readFileSync(TLS_CERT_FILE, 'utf8'), key: readFileSync(TLS_KEY_FILE, 'utf8') }
    createSecureContext(tls)
    return tls
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new SettingsError(`Settings: TLS_CERT_FILE and TLS_KEY_FILE cannot be used (${code})`)
  }
}
