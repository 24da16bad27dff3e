import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { checkVariables } from '../deploy/variables.ts'

t.test('a value without a variable is refused, and named without its value', async (t) => {
  const directory = t.testdir({ 'variables.tf': 'variable "keys" {\n}\n\nvariable "name" {\n}\n' })
  const file = 'dev.tfvars'
  const check = (text: string) => {
    writeFileSync(join(directory, file), text)
    return () => checkVariables(directory, file)
  }
  t.doesNotThrow(check('# key_days = 1\nname = "x"\nkeys = {\n  rotation_days = 1\n}\n'))
  const message = /^terraform\/dev\.tfvars sets key_days, budget, which is no variable: see [^0-9]*$/
  t.throws(check('name = "x"\nkey_days = 17\nbudget={ amount = 18 }\n'), { message })
})
