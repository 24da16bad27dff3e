import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { collections } from './collections.ts'
import { initialise, isInstalled, terraform, test } from './terraform.ts'
import { whatAlwaysHolds } from './whole.ts'

// The mutation tests set a changed copy, and the tests to run in it
const directory = resolve(process.env.TERRAFORM_DIR ?? join(import.meta.dirname, '..'))
const filters = process.env.TEST_FILES?.split(',').map((file) => `-filter=tests/${file}.tftest.hcl`) ?? []

if (!isInstalled) {
  process.stderr.write('\n*** NOT TESTED: terraform/, since Terraform 1.11 or later is not installed ***\n\n')
  t.pass('skipped: no terraform', { skip: 'no terraform on this machine' })
} else {
  if (process.env.TERRAFORM_DIR === undefined) {
    const { status, output, errors } = await initialise(directory)
    t.equal(status, 0, `providers and modules are there\n${output}${errors}`)
  }

  t.test('is formatted', { skip: process.env.TERRAFORM_DIR !== undefined }, async (t) => {
    const { status, output } = await terraform(directory, 'fmt', '-check', '-recursive')
    t.equal(status, 0, output)
  })

  t.test('is valid', async (t) => {
    const { output } = await terraform(directory, 'validate', '-json')
    const { valid, diagnostics } = JSON.parse(output)
    t.ok(valid, JSON.stringify(diagnostics))
  })

  t.test('passes its own tests', async (t) => {
    const runs = await test(directory, ...filters)
    t.ok(runs.length > 0, 'there are tests')
    for (const { file, name, passed, problems } of runs) {
      t.ok(passed, [`${file}: ${name.replaceAll('_', ' ')}`, ...problems].join('\n'))
    }

    for (const name of ['defaults', 'everything']) {
      const run = runs.find((run) => run.file.endsWith('whole.tftest.hcl') && run.name === name)
      const resources = run?.resources ?? []
      if (resources.length > 0) t.test(`with ${name}`, async (t) => whatAlwaysHolds(t, resources, directory))
      else if (filters.length === 0) t.fail(`the run ${name} made nothing`)
    }
  })

  t.test('creates an environment from each file of variables', { skip: filters.length > 0 }, async (t) => {
    const files = readdirSync(join(directory, 'environments')).filter((file) => file.endsWith('.tfvars'))
    t.ok(files.length > 1)
    for (const file of files) {
      const args = ['-test-directory=tests/environments', `-var-file=environments/${file}`]
      const runs = await test(directory, ...args)
      const problems = runs.flatMap(({ problems }) => problems).join('\n')
      t.ok(runs.length > 0 && runs.every(({ passed }) => passed), `${file} ${problems}`)
    }
  })

  t.test('creates a witness', { skip: filters.length > 0 }, async (t) => {
    const witness = join(directory, 'witness')
    await initialise(witness)
    const { output } = await terraform(witness, 'validate', '-json')
    t.ok(JSON.parse(output).valid, output)
    const runs = await test(witness)
    t.ok(runs.length >= 3, 'there are tests')
    for (const { name, passed, problems } of runs) t.ok(passed, [name, ...problems].join('\n'))
  })

  t.test('has a valid configuration for the storage of states', { skip: filters.length > 0 }, async (t) => {
    const state = join(directory, 'state')
    await initialise(state)
    const { output } = await terraform(state, 'validate', '-json')
    t.ok(JSON.parse(output).valid, output)
  })
}

t.test('collections.json matches the services', async (t) => {
  t.same(JSON.parse(readFileSync(join(directory, 'collections.json'), 'utf8')), collections)
})

t.test('the custom role allows the operations that rotation calls on an account', async (t) => {
  const source = readFileSync(new URL('../../services/rotation/cosmos-keys.ts', import.meta.url), 'utf8')
  const names = source.matchAll(/this\.#accounts\.(\w+)\(/g)
  const calls = Array.from(names, ([, name]) => `Microsoft.DocumentDB/databaseAccounts/${name}/action`)
  const role = readFileSync(join(directory, 'roles/cosmos-key-rotation.json'), 'utf8')
  const { Actions, ...rest } = JSON.parse(role)
  t.same(
    Actions.toSorted(),
    [
      ...new Set(calls),
      'Microsoft.DocumentDB/databaseAccounts/operationResults/read',
      'Microsoft.DocumentDB/locations/operationsStatus/read'
    ].toSorted()
  )
  t.same([rest.DataActions, rest.NotActions, rest.NotDataActions], [[], [], []])
})

t.test('every variable has a type, a description and, except booleans, a validation', async (t) => {
  const source = readFileSync(join(directory, 'variables.tf'), 'utf8')
  const blocks = [...source.matchAll(/^variable "(\w+)" \{\n([\s\S]*?)^\}/gm)]
  t.ok(blocks.length > 30)
  for (const [, name = '', body = ''] of blocks) {
    t.match(body, /^ {2}type +=/m, name)
    t.match(body, /^ {2}description = "\w.*\."$/m, name)
    if (!/^ {2}type += bool$/m.test(body)) t.match(body, /^ {2}validation \{/m, name)
  }
})
