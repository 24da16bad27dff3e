import { Type, type Static } from 'typebox'
import { observationStatus, reportStatus } from './test-result.ts'
import { closed, optional, partialDate } from './values.ts'

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

export const VersionPage = closed(page)

const code = Type.String({ minLength: 1, description: 'A code, or system|code' })
const criteria = {
  category: Type.String({ minLength: 1, description: 'A category, or system|code' }),
  effectiveFrom: partialDate,
  effectiveTo: partialDate
}
const ofReports = {
  code,
  ...criteria,
  status: { ...reportStatus, description: 'The status of the test result' }
}
const ofObservations = {
  ...criteria,
  status: { ...observationStatus, description: 'The status of the observation' }
}

export const TestPage = closed({
  ...page,
  sort: sort(['id', '-id', 'lastUpdated', '-lastUpdated', 'effective', '-effective']),
  ...optional(ofReports)
})

/** Its limit counts test results, each of which may have several observations of the code, or none. */
export const ObservationPage = closed({ ...page, code, ...optional(ofObservations) })

export type TestCriteria = Partial<Pick<Static<typeof TestPage>, keyof typeof ofReports>>
export type ObservationCriteria = Pick<Static<typeof ObservationPage>, 'code' | keyof typeof ofObservations>
