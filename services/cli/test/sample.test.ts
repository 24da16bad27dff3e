import t from 'tap'
import { violations } from '#common/http/validation.ts'
import { NewPatient } from '../../patient/schemas/patient.ts'
import { NewTest } from '../../patient/schemas/test-result.ts'
import { invented } from '../sample/people.ts'

t.test('invented patients and test results are valid, and the same for the same number', async (t) => {
  const numbers = new Set<string>()
  for (let n = 1; n <= 100; n++) {
    const { patient: { id, ...patient }, tests } = invented(n)
    t.same(violations(NewPatient, patient), [], `patient ${n}`)
    for (const { id: own, ...test } of tests) t.same(violations(NewTest, test), [], `test ${own} of ${n}`)
    t.not(tests.length, 0)
    numbers.add(patient.insuranceNumber)
  }
  t.equal(numbers.size, 100)
  t.same(invented(17), invented(17))
})
