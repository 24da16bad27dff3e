/** A made-up patient. All of a run have one last name, by which the run finds and deletes them at the end. */
export function newPatient (lastName: string) {
  return { firstName: 'Ada', lastName, gender: 'female', dateOfBirth: '1915-12-10', postCode: 'W1S4' }
}

export function invalidPatient (lastName: string) {
  return { ...newPatient(lastName), postCode: 'more than sixteen characters' }
}

const result = { measurement: '8.2', interpretation: 'normal', issued: '2024-02-29T10:00:00Z' }

export const newTest = {
  performer: 'Laboratory 4',
  observations: [{ id: '1', code: 'hb', ...result, status: 'final' }]
}

export const invalidTest = { ...newTest, observations: [] }

export const unknownId = '00000000-0000-4000-8000-000000000000'
