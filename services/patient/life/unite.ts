import { isDeepStrictEqual } from 'node:util'
import { invalid } from '../errors.ts'
import { detailsOf } from '../repositories/documents.ts'
import { storedPatient, type StoredPatient } from '../repositories/patients.ts'
import type { KeyMaker } from '../search/keys.ts'
import { Patient, type PatientDetails } from '../schemas/patient.ts'

const LISTS = ['identifiers', 'contacts', 'addresses'] as const
type Lists = Required<Pick<PatientDetails, typeof LISTS[number]>>

/**
 * A patient with the identifiers, contacts and addresses of another one too.
 *
 * @throws {InvalidRequest} the patient would be too large
 */
export function united (
  keys: KeyMaker, target: StoredPatient, source: StoredPatient, audit: string
): StoredPatient {
  const details = detailsOf<PatientDetails>(target)
  const missing = missingIn(target, source)
  for (const name of LISTS) {
    const list = [...target[name] ?? [], ...missing[name]]
    const { maxItems } = Patient.properties[name] as { maxItems?: number }
    if (list.length > maxItems!) throw invalid('from', `must not make more than ${maxItems} ${name}`)
    if (list.length > 0) Object.assign(details, { [name]: list })
  }
  return storedPatient(keys, target._id, details, audit)
}

/** Whether a patient has the identifiers, contacts and addresses of another one. */
export function isUnited (target: StoredPatient, source: StoredPatient) {
  return Object.values(missingIn(target, source)).every((list) => list.length === 0)
}

function missingIn (target: StoredPatient, source: StoredPatient): Lists {
  const { insuranceNumber, preferredContactNumber } = source
  const identifiers = [...source.identifiers ?? []]
  if (insuranceNumber !== undefined && insuranceNumber !== target.insuranceNumber) {
    identifiers.push({ type: 'insuranceNumber', value: insuranceNumber })
  }
  const contacts = [...source.contacts ?? []]
  if (preferredContactNumber !== undefined && preferredContactNumber !== target.preferredContactNumber) {
    contacts.push({ system: 'phone', value: preferredContactNumber })
  }
  return {
    identifiers: added(target.identifiers, identifiers, ({ system, value }) => [system, value]),
    contacts: added(target.contacts, contacts, ({ system, value }) => [system, value]),
    addresses: added(target.addresses, source.addresses ?? [], (address) => address)
  }
}

/** The items of `others` that are not among `items`, each once. */
function added<T> (items: T[] = [], others: T[], key: (item: T) => unknown): T[] {
  const missing: T[] = []
  for (const other of others) {
    const isSame = (item: T) => isDeepStrictEqual(key(item), key(other))
    if (![...items, ...missing].some(isSame)) missing.push(other)
  }
  return missing
}
