import { Type, type Static, type TProperties } from 'typebox'

const text = Type.String({ minLength: 1 })
const uuid = Type.String({ format: 'uuid' })
const dateTime = Type.String({ format: 'date-time' })
const partialDate = Type.String({ format: 'partial-date' })
const notSent = Type.Optional(Type.Never())

// What the database assigns: refused in a create, allowed as it was loaded in an update
const assigned = { id: uuid, lastUpdated: dateTime }
const refused = { id: notSent, lastUpdated: notSent }
const loaded = { id: Type.Optional(uuid), lastUpdated: Type.Optional(dateTime) }

const closed = <T extends TProperties>(properties: T) => Type.Object(properties, { additionalProperties: false })
/** In a merge patch (RFC 7396) null takes a property away. */
const removable = (schema: object = text) => Type.Optional(Type.Unsafe<string | null>({ ...schema, type: ['string', 'null'] }))

const firstName = Type.String({ minLength: 1, maxLength: 64 })
const lastName = firstName
const fullName = Type.String({ minLength: 1, maxLength: 128 })
const gender = Type.Enum(['male', 'female', 'other', 'unknown'], { type: 'string' })
const postCode = Type.String({ minLength: 4, maxLength: 4 })

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
export const NewPatient = closed({ ...patient, ...refused })
export const PatientUpdate = closed({ ...patient, ...loaded })
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
})
export const Patient = Type.Object({ ...assigned, ...patient })

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
})

const Observation = closed({ id: text, code: text, measurement: text, interpretation: text, issued: dateTime, status: text })

const test = {
  patientId: Type.Optional(uuid),
  performer: Type.Optional(text),
  orderReference: Type.Optional(text),
  observations: Type.Array(Observation, { minItems: 1 })
}

export const TestDetails = closed(test)
export const NewTest = closed({ ...test, ...refused })
export const TestUpdate = closed({ ...test, ...loaded })
export const TestPatch = closed({
  ...loaded,
  patientId: Type.Optional(uuid),
  performer: removable(),
  orderReference: removable(),
  observations: Type.Optional(test.observations)
})
export const Test = Type.Object({ ...assigned, ...test, patientId: uuid })

export type PatientDetails = Static<typeof PatientDetails>
export type PatientPatch = Static<typeof PatientPatch>
export type PatientCriteria = Static<typeof PatientCriteria>
export type TestDetails = Static<typeof TestDetails>
export type TestPatch = Static<typeof TestPatch>

const page = {
  limit: Type.Integer({ minimum: 1, maximum: 200, default: 100 }),
  cursor: Type.Optional(Type.String())
}

export const PatientPage = closed({
  ...page,
  sort: Type.Enum(['id', '-id', 'lastName', '-lastName', 'dateOfBirth', '-dateOfBirth', 'lastUpdated', '-lastUpdated'], { default: 'id' })
})

export const TestPage = closed({
  ...page,
  sort: Type.Enum(['id', '-id', 'lastUpdated', '-lastUpdated'], { default: 'id' })
})
