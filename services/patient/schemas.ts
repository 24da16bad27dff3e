import { Type, type Static, type TProperties } from 'typebox'

const text = Type.String({ minLength: 1 })
const uuid = Type.String({ format: 'uuid' })
const dateTime = Type.String({ format: 'date-time', description: 'A date and time (RFC 3339)' })
const partialDate = Type.String({
  format: 'partial-date',
  description: 'A valid date, as YYYY, YYYY-MM or YYYY-MM-DD'
})
const notSent = Type.Optional(Type.Never())

// Assigned by the service: refused in a create, ignored in an update
const assigned = { id: uuid, lastUpdated: dateTime }
const refused = { id: notSent, lastUpdated: notSent }
const loaded = { id: Type.Optional(uuid), lastUpdated: Type.Optional(dateTime) }

function closed<T extends TProperties> (properties: T, example?: object) {
  return Type.Object(properties, { additionalProperties: false, ...(example && { examples: [example] }) })
}

/** In a merge patch (RFC 7396), null removes a property. */
function removable (schema: object = text) {
  return Type.Optional(Type.Unsafe<string | null>({ ...schema, type: ['string', 'null'] }))
}

const firstName = Type.String({ minLength: 1, maxLength: 64 })
const lastName = firstName
const fullName = Type.String({ minLength: 1, maxLength: 128 })
const gender = Type.Enum(['male', 'female', 'other', 'unknown'], { type: 'string' })
const postCode = Type.String({ minLength: 4, maxLength: 4 })

const ada = {
  firstName: 'Ada', lastName: 'Lovelace', gender: 'female', dateOfBirth: '1815-12-10', postCode: 'W1S4'
}
const storedAda = {
  id: '6f0c7e5e-7d0f-4c8e-9a53-0f3f2f6a1c11',
  ...ada,
  lastUpdated: '2026-01-31T09:30:00.000Z'
}

const patient = {
  firstName,
  lastName: Type.Optional(lastName),
  fullName: Type.Optional(fullName),
  gender,
  dateOfBirth: partialDate,
  postCode,
  insuranceNumber: Type.Optional(text),
  preferredContactNumber: Type.Optional(text)
}

export const PatientDetails = closed(patient)
export const NewPatient = closed({ ...patient, ...refused }, ada)
export const PatientUpdate = closed({ ...patient, ...loaded }, { ...storedAda, postCode: 'W1S5' })
export const PatientPatch = closed({
  ...loaded,
  firstName: Type.Optional(firstName),
  lastName: removable(lastName),
  fullName: removable(fullName),
  gender: Type.Optional(gender),
  dateOfBirth: Type.Optional(partialDate),
  postCode: Type.Optional(postCode),
  insuranceNumber: removable(),
  preferredContactNumber: removable()
}, { lastName: 'King', fullName: null })
export const Patient = Type.Object({ ...assigned, ...patient }, { examples: [storedAda] })

export const PatientCriteria = closed({
  id: Type.Optional(uuid),
  firstName: Type.Optional(firstName),
  lastName: Type.Optional(lastName),
  fullName: Type.Optional(fullName),
  gender: Type.Optional(gender),
  dateOfBirthFrom: Type.Optional(partialDate),
  dateOfBirthTo: Type.Optional(partialDate),
  postCode: Type.Optional(postCode),
  insuranceNumber: Type.Optional(text),
  preferredContactNumber: Type.Optional(text)
}, { lastName: 'Lovelace', dateOfBirthTo: '1980' })

const Observation = closed({
  id: text, code: text, measurement: text, interpretation: text, issued: dateTime, status: text
})

const haemoglobin = {
  id: '1',
  code: 'hb',
  measurement: '8.2',
  interpretation: 'normal',
  issued: '2026-01-31T09:00:00Z',
  status: 'final'
}
const result = { performer: 'Laboratory 4', observations: [haemoglobin] }
const storedResult = {
  id: '0b0b4bd3-ba83-4b23-a9c9-6e0f2e4b2c11',
  patientId: storedAda.id,
  ...result,
  lastUpdated: '2026-01-31T09:31:00.000Z'
}

const test = {
  patientId: Type.Optional(uuid),
  performer: Type.Optional(text),
  orderReference: Type.Optional(text),
  observations: Type.Array(Observation, { minItems: 1 })
}

export const TestDetails = closed(test)
export const NewTest = closed({ ...test, ...refused }, result)
export const TestUpdate = closed({ ...test, ...loaded }, { ...storedResult, orderReference: 'A-17' })
export const TestPatch = closed({
  ...loaded,
  patientId: Type.Optional(uuid),
  performer: removable(),
  orderReference: removable(),
  observations: Type.Optional(test.observations)
}, { performer: null, orderReference: 'A-17' })
export const Test = Type.Object({ ...assigned, ...test, patientId: uuid }, { examples: [storedResult] })

export type PatientDetails = Static<typeof PatientDetails>
export type PatientPatch = Static<typeof PatientPatch>
export type PatientCriteria = Static<typeof PatientCriteria>
export type TestDetails = Static<typeof TestDetails>
export type TestPatch = Static<typeof TestPatch>

const page = {
  limit: Type.Integer({
    minimum: 1, maximum: 200, default: 100, description: 'The maximum number of items on the page'
  }),
  cursor: Type.Optional(Type.String({ description: 'The cursor in the Link of the previous page' }))
}

function sort<const T extends string> (names: T[]) {
  const description = 'The sort order; - means descending'
  return Type.Enum(names, { type: 'string', default: 'id', description })
}

export const PatientPage = closed({
  ...page,
  sort: sort([
    'id', '-id', 'lastName', '-lastName', 'dateOfBirth', '-dateOfBirth', 'lastUpdated', '-lastUpdated'
  ])
})

export const TestPage = closed({ ...page, sort: sort(['id', '-id', 'lastUpdated', '-lastUpdated']) })
