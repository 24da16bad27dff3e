import { test } from 'tap'
import audit from '../../audit/openapi.json' with { type: 'json' }
import { ruleNames, STATES } from '../findings.ts'

const { rule, state } = audit.components.schemas.Finding.properties

test('each rule of the review has a name', async (t) => {
  t.strictSame(Object.keys(ruleNames).sort(), rule.enum.toSorted())
})

test('the states are those of the register', async (t) => {
  t.strictSame([...STATES].sort(), state.enum.toSorted())
})
