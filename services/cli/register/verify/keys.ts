import {
  parseNote, parseVerifierKey, verifiedSignatures, type VerifierKey
} from '#common/transparency/notes.ts'
import type { LogKey } from '#common/transparency/documents.ts'
import type { Findings } from './findings.ts'

/**
 * The keys of the log that can be trusted: `pinned`, else the first one, and every key that a trusted one
 * has signed.
 */
export function trustedKeys (stored: LogKey[], pinned: VerifierKey[], findings: Findings): VerifierKey[] {
  const inOrder = stored.toSorted((a, b) => a.date.getTime() - b.date.getTime())
  const first = inOrder.find(({ note }) => note === undefined)
  const trusted = pinned.length > 0 ? [...pinned] : first ? tryKey(first._id) : []
  let unknown = inOrder.filter(({ _id }) => !trusted.some(({ vkey }) => vkey === _id))
  for (let known = -1; known < trusted.length;) {
    known = trusted.length
    for (const key of unknown) if (isSigned(key, trusted)) trusted.push(...tryKey(key._id))
    unknown = unknown.filter(({ _id }) => !trusted.some(({ vkey }) => vkey === _id))
  }
  for (const { _id } of unknown) findings.add('key unknown', `${_id} is not signed by a key before it`)
  for (const { vkey } of pinned) {
    if (!stored.some(({ _id }) => _id === vkey)) findings.add('key unknown', `the log does not have ${vkey}`)
  }
  return trusted
}

function isSigned ({ _id, note }: LogKey, trusted: VerifierKey[]) {
  try {
    const signed = parseNote(note ?? '')
    const [origin, vkey] = signed.text.split('\n')
    const signatures = verifiedSignatures(signed, trusted)
    return vkey === _id && signatures.some(({ key }) => origin === `${key.name}/keys`)
  } catch {
    return false
  }
}

function tryKey (vkey: string) {
  try {
    return [parseVerifierKey(vkey)]
  } catch {
    return []
  }
}
