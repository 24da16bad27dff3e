import { Type, type Static } from 'typebox'
import {
  anyText, assigned, closed, codes, lifeDate, lifeDateOrTime, loaded, named, optional, Period, refused,
  removable, text, textOrConcept, withOneOf
} from './values.ts'

// A new property is added to `details`. A criterion of the search that finds it is added in criteria.ts.

const name = text(256)
const gender = codes('male', 'female', 'other', 'unknown')

export const Identifier = named('Identifier', closed({
  value: text(256),
  ...optional({
    system: text(256, 'Who assigns the value, a URI'),
    type: textOrConcept(),
    period: Period
  })
}))

export const Contact = named('Contact', closed({
  system: codes('phone', 'email', 'sms', 'other'),
  value: text(256),
  ...optional({ use: codes('home', 'work', 'temp', 'old', 'mobile'), preferred: Type.Boolean() })
}))

export const Address = named('Address', closed(optional({
  lines: Type.Array(text(256), { maxItems: 8 }),
  city: text(256),
  district: text(256),
  state: text(256),
  postCode: text(16),
  country: Type.String({ format: 'country', description: 'ISO 3166-1 alpha-2' }),
  use: codes('home', 'work', 'temp', 'old', 'billing'),
  period: Period
})))

/** The optional properties; one of the names is required. */
const details = {
  title: text(64),
  firstName: name,
  middleNames: Type.Array(name, { maxItems: 16 }),
  lastName: name,
  fullName: name,
  birthName: name,
  preferredName: name,
  dateOfBirth: lifeDate,
  deceased: Type.Unsafe<boolean | string>({
    anyOf: [{ type: 'boolean' }, lifeDateOrTime], description: 'Whether the patient has died, or when'
  }),
  postCode: text(16),
  insuranceNumber: anyText,
  preferredContactNumber: anyText,
  identifiers: Type.Array(Identifier, { maxItems: 64 }),
  contacts: Type.Array(Contact, { maxItems: 64 }),
  addresses: Type.Array(Address, { maxItems: 32 }),
  language: Type.String({ format: 'language', description: 'A language tag (BCP 47)' }),
  maritalStatus: textOrConcept(),
  active: Type.Boolean()
}
const names = ['firstName', 'lastName', 'fullName']

const ada = {
  firstName: 'Ada',
  lastName: 'Lovelace',
  gender: 'female',
  dateOfBirth: '1915-12-10',
  postCode: 'W1S4',
  identifiers: [{ system: 'https://hospital.example.com/mrn', value: '0042-17' }],
  contacts: [{ system: 'phone', value: '+44 20 7946 0018', use: 'home' }],
  addresses: [{ lines: ['12 St James’s Square'], city: 'London', postCode: 'SW1Y 4JH', country: 'GB' }]
}
export const storedAda = {
  id: '6f0c7e5e-7d0f-4c8e-9a53-0f3f2f6a1c11',
  ...ada,
  lastUpdated: '2026-01-31T09:30:00.000Z'
}

const patient = { gender, ...optional(details) }

export const PatientDetails = withOneOf(closed(patient), ...names)
export const NewPatient = withOneOf(closed({ ...patient, ...refused }, ada), ...names)
export const PatientUpdate =
  withOneOf(closed({ ...patient, ...loaded }, { ...storedAda, postCode: 'W1S5' }), ...names)
export const PatientPatch = closed(
  { ...loaded, gender: Type.Optional(gender), ...removable(details) },
  { lastName: 'King', fullName: null }
)
export const Patient = Type.Object({ ...assigned, ...patient }, { examples: [storedAda] })

export type PatientDetails = Static<typeof PatientDetails>
