import { type Static } from 'typebox'
import { anyText, closed, codes, optional, partialDate, text, uuid } from './values.ts'

const name = text(256)

/** The criteria of a search for patients. */
export const PatientCriteria = closed(optional({
  id: uuid,
  firstName: name,
  lastName: name,
  fullName: name,
  gender: codes('male', 'female', 'other', 'unknown'),
  dateOfBirthFrom: partialDate,
  dateOfBirthTo: partialDate,
  postCode: text(16),
  insuranceNumber: anyText,
  preferredContactNumber: anyText
}), { lastName: 'Lovelace', dateOfBirthTo: '1980' })

export type PatientCriteria = Static<typeof PatientCriteria>
