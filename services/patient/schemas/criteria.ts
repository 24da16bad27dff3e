import { Type, type Static } from 'typebox'
import { anyText, closed, codes, optional, partialDate, text, uuid } from './values.ts'

const name = text(256)

function beginning (of: string) {
  return Type.String({ minLength: 2, maxLength: 256, description: `How ${of} begins` })
}

/**
 * The criteria of a search for patients. search/filter.ts has the filter of each, repositories/patients.ts
 * its index.
 */
export const PatientCriteria = closed(optional({
  match: { ...codes('folded', 'exact'), description: 'exact: case, accents, hyphens and the like count' },
  id: uuid,
  firstName: name,
  firstNamePrefix: beginning('firstName'),
  lastName: name,
  lastNamePrefix: beginning('lastName'),
  fullName: { ...name, description: 'fullName, or else all other names of the patient' },
  fullNamePrefix: beginning('fullName'),
  gender: codes('male', 'female', 'other', 'unknown'),
  dateOfBirthFrom: partialDate,
  dateOfBirthTo: partialDate,
  postCode: { ...text(16), description: 'postCode, or that of an address' },
  city: { ...text(256), description: 'The city of an address' },
  country: Type.String({ format: 'country', description: 'The country of an address (ISO 3166-1 alpha-2)' }),
  insuranceNumber: anyText,
  preferredContactNumber: { ...anyText, description: 'preferredContactNumber, or a contact that is a phone' },
  identifier: closed({ value: text(256), system: Type.Optional(text(256)) }),
  deceased: Type.Boolean(),
  active: { ...Type.Boolean(), description: 'true also finds patients without this property' }
}), { lastNamePrefix: 'love', dateOfBirthTo: '1980' })

export type PatientCriteria = Static<typeof PatientCriteria>
