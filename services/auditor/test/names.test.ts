import t from 'tap'
import { kindsOfRegister } from '../../audit/formats/fhir.ts'
import { recordedOperations } from '../../patient/test/operations.ts'
import { what } from '../names.ts'

t.test('every operation that is recorded has words', async (t) => {
  for (const operation of [...Object.keys(kindsOfRegister), 'archive']) {
    t.not(what({ resource: { type: 'audit-record', operation } }), `asked the register: ${operation}`)
  }
  const operations = recordedOperations()
  t.ok(operations.length >= 14)
  for (const operation of operations) {
    t.not(what({ resource: { type: 'patient', operation } }), `${operation} patient`)
  }
})
