import { WITNESS_NAME } from '#common/transparency/names.ts'
import { cosignerOf, signerOf } from '#common/transparency/notes.ts'

/** The public keys of a system's log and its witness, as in settings. */
export interface PublicKeys {
  log: string
  witness: string
}

/**
 * @param logKey seed in base64url, as `witnessKey`
 * @param origin the name of the log
 */
export function publicKeysOf (logKey: string, witnessKey: string, origin: string): PublicKeys {
  const seed = (key: string) => Buffer.from(key, 'base64url')
  return {
    log: signerOf(origin, seed(logKey)).vkey,
    witness: cosignerOf(WITNESS_NAME, seed(witnessKey)).vkey
  }
}
