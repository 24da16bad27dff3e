import { parsePhoneNumberFromString, type CountryCode } from 'libphonenumber-js/min'
import type { PatientDetails } from '../schemas/patient.ts'
import { fold, foldIdentifier, FOLDING_VERSION } from './fold.ts'

/** What a patient is found by: folded keys beside its values. They never leave the database. */
export interface SearchKeys {
  version: string
  /** Empty if there is no last name, so that patients without one sort first. */
  lastName: string
  firstName?: string
  fullName?: string
  postCodes?: string[]
  cities?: string[]
  insuranceNumbers?: string[]
  /** Each identifier with its system, and without. */
  identifiers?: string[]
  phones?: string[]
}

/** Makes search keys. Phone numbers without a country code are of the default region. */
export class KeyMaker {
  readonly version: string
  #region: CountryCode

  constructor (defaultRegion: string) {
    this.version = `${FOLDING_VERSION}-${defaultRegion}`
    this.#region = defaultRegion as CountryCode
  }

  keysOf (patient: PatientDetails): SearchKeys {
    const { firstName, middleNames = [], lastName, insuranceNumber, postCode, addresses = [] } = patient
    const { identifiers = [], contacts = [], preferredContactNumber } = patient
    const fullName = patient.fullName ?? [firstName, ...middleNames, lastName].filter(Boolean).join(' ')
    // The numbers of patients that were merged into this one
    const merged = identifiers.filter(({ type }) => type === 'insuranceNumber')
    const phones = contacts.filter(({ system }) => system === 'phone' || system === 'sms')
      .map(({ value }) => value)
    return {
      version: this.version,
      lastName: fold(lastName ?? ''),
      ...(firstName !== undefined && { firstName: fold(firstName) }),
      ...(fullName !== '' && { fullName: fold(fullName) }),
      ...list('insuranceNumbers', [insuranceNumber, ...merged.map(({ value }) => value)], foldIdentifier),
      ...list('postCodes', [postCode, ...addresses.map(({ postCode }) => postCode)], foldIdentifier),
      ...list('cities', addresses.map(({ city }) => city), fold),
      ...list('identifiers', identifiers.flatMap(({ system, value }) => [
        identifierKey(undefined, value), ...(system === undefined ? [] : [identifierKey(system, value)])
      ])),
      ...list('phones', [preferredContactNumber, ...phones], (phone) => this.phoneKey(phone))
    }
  }

  /** The key of a phone number: its digits, with its country code where it is known. */
  phoneKey (phone: string) {
    const number = parsePhoneNumberFromString(phone, this.#region)?.number
    return number ?? (phone.replace(/\D/g, '') || fold(phone))
  }
}

/** The key of an identifier. Without a system, it is found whatever its system is. */
export function identifierKey (system: string | undefined, value: string) {
  return `${system ?? ''}|${foldIdentifier(value)}`
}

function list (name: keyof SearchKeys, values: Array<string | undefined>, keyOf = (value: string) => value) {
  const keys = new Set(values.filter((value) => value !== undefined).map(keyOf))
  return keys.size > 0 && { [name]: [...keys] }
}
