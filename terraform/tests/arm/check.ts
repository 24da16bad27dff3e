import { spawnSync } from 'node:child_process'
import t, { type Test } from 'tap'
import { environments, SECRETS, type Environment } from './environments.ts'
import { secretsIn } from './ids.ts'
import { checkRules } from './rules.ts'
import { Workspace, type Result } from './workspace.ts'

/**
 * What a state holds because the provider reads it: docs/azure.md names each of them.
 */
const KNOWN = [
  'instrumentation key of Application Insights',
  // Of terraform/witness and terraform/state, where accounts refuse shared keys
  'key of a storage account',
  'primary key of Cosmos DB',
  'primary key of a workspace',
  'primary read-only key of Cosmos DB',
  'secondary key of Cosmos DB',
  'secondary key of a workspace',
  'secondary read-only key of Cosmos DB',
  // Terraform does not use it, and it is off
  'primary key of the management API',
  'secondary key of the management API',
  'validation key of the portal'
]

const { AZURERM_PROVIDER: provider, ONLY: only } = process.env
const PARALLEL = '-parallelism=60'
const isInstalled = spawnSync('terraform', ['version']).status === 0

function skip (what: string) {
  process.stderr.write(`\n*** NOT TESTED: an apply of terraform/, since ${what} cannot be had ***\n\n`)
  t.pass('skipped', { skip: `no ${what}` })
}

/** The errors and warnings in the output of Terraform. */
function problemsOf ({ output }: Result) {
  return [...output.matchAll(/^(?:Error|Warning): [\s\S]*?(?=\n\n\n|$(?![\s\S]))/gm)].join('\n\n')
}

async function check (t: Test, { root, variables, present = {} }: Environment) {
  const workspace = new Workspace(root)
  t.teardown(() => workspace.remove())
  for (const [id, body] of Object.entries(present)) workspace.subscription.store.put(id, body)
  const initialised = await workspace.initialise(provider)
  t.equal(initialised.status, 0, initialised.output)
  const file = `-var-file=${workspace.variables('environment.tfvars', variables)}`
  const values = root === 'terraform' ? { secret_values: SECRETS } : {}
  const run = (...args: [string, ...string[]]) => workspace.terraform(values, ...args, file, PARALLEL)

  const applied = await run('apply', '-auto-approve')
  t.equal(applied.status, 0, 'the first apply reaches its end')
  t.equal(problemsOf(applied), '', 'without a warning')
  t.same(workspace.subscription.unknown, [], 'the stand-in knows what is asked for')

  const { state } = workspace
  const unknown = secretsIn(state).filter((kind) => !KNOWN.includes(kind))
  t.same(unknown, [], 'the state holds no key or connection string but the known ones')
  const leaked = Object.entries(SECRETS).filter(([, secret]) => state.includes(secret)).map(([name]) => name)
  t.same(leaked, [], 'and no secret that was set')

  const planned = await run('plan', '-detailed-exitcode')
  t.equal(planned.status, 0, `a second plan is empty\n${planned.output}`)

  const destroyed = await run('destroy', '-auto-approve')
  t.equal(destroyed.status, 0, 'the destruction reaches its end')
  t.equal(problemsOf(destroyed), '', 'without a warning')
  // Vaults stay deleted until they are purged
  const left = workspace.subscription.store.all.filter(({ type }) => !type.endsWith('/deletedVaults'))
  t.same(left.map(({ id }) => id).sort(), Object.keys(present).sort(), 'and leaves nothing')
}

async function main () {
  t.test('the stand-in refuses what Resource Manager refuses', checkRules)
  if (!isInstalled) return skip('Terraform')
  const workspace = new Workspace('terraform')
  const { status } = await workspace.initialise(provider)
  workspace.remove()
  if (status !== 0 && !provider) return skip('the provider azurerm (set AZURERM_PROVIDER to its executable)')
  // Most of the time is the provider's waiting
  t.jobs = 3
  for (const environment of environments) {
    const { name } = environment
    if (only === undefined || only === name) {
      t.test(name, { buffered: true, timeout: 3_000_000 }, (t) => check(t, environment))
    }
  }
}

await main()
