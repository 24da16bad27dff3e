// Made-up patients

/** All patients of a run have the same last name, so that the run can find and delete them at the end. */
export const newPatient = (lastName: string) => ({ firstName: 'Ada', lastName, gender: 'female', dateOfBirth: '1915-12-10', postCode: 'W1S4' })

export const invalidPatient = (lastName: string) => ({ ...newPatient(lastName), postCode: 'W1S 4AA' })

const observation = { id: '1', code: 'hb', measurement: '8.2', interpretation: 'normal', issued: '2024-02-29T10:00:00Z', status: 'final' }

export const newTest = { performer: 'Laboratory 4', observations: [observation] }

export const invalidTest = { ...newTest, observations: [] }

export const unknownId = '00000000-0000-4000-8000-000000000000'
