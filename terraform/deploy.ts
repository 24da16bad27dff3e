// npm run deploy -- dev: applies the registry, pushes the images, applies the rest, and runs a smoke test.
import { randomBytes } from 'node:crypto'
import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  DeployError, handleSignals, outputOf, retry, run, startCleaning, wasInterrupted
} from './deploy/commands.ts'
import { Environment } from './deploy/environment.ts'
import { buildImages, IMAGES } from './deploy/images.ts'
import { initialise, StateAccess, storageOf } from './deploy/state.ts'
import { liveRevisions, waitForCandidates } from './deploy/upgrade.ts'
import { checkVariables } from './deploy/variables.ts'

const HERE = import.meta.dirname
const KEYS = [
  'patient-host-key', 'audit-host-key', 'audit-log-key', 'audit-query-key', 'patient-data-key',
  'auditor-session-key'
]
const APIM_VERSION = '2024-05-01'
const VAULT_ATTEMPTS = 40
const READY_ATTEMPTS = 20
const WAIT_MS = Number(process.env.DEPLOY_WAIT_MS ?? 15_000)
const ADDRESS_URL = 'https://api.ipify.org'
const OUTPUTS = ['registry_name', 'gateway_url']

const USAGE = `Creates or updates an environment in Azure. Shows each change and asks, except with --yes.

npm run deploy -- ENVIRONMENT [--yes] [--inside] [--images JSON] [--untried] [--unlock]
                              [--upgrade PERCENT] [--outputs FILE]
                              [--registry | --plan | --destroy | --close]

  ENVIRONMENT    a file of terraform/environments, without its extension
  --yes          does not ask
  --inside       for a runner in the virtual network: vault, registry and state stay closed
  --images JSON  uses these images instead of building them:
                 {"patient": "<registry>/patient@sha256:…", "audit": …, "rotation": …, "auditor": …}
  --untried      skips the smoke test, which needs this machine's address in client_ip_ranges
  --unlock       lifts the delete locks for this deployment, for example to replace a role assignment
  --upgrade PERCENT
                 keeps the version in use beside the new one, which gets this percentage of the calls:
                 0 creates it and waits until it is ready, 1 to 100 move calls, and 0 moves them back.
                 Needs --images, the same each time. A deployment without --upgrade ends the old version.
                 With --plan it shows such a deployment
  --outputs FILE appends ${OUTPUTS.join(' and ')} to a file, as name=value
  --registry     creates only the registry and its dependencies, for images that are pushed by other means
  --plan         shows the changes, based on the state, and changes nothing
  --destroy      deletes the environment
  --close        closes what a killed deployment left open: vault, registry and state

az must be logged in to the subscription. STATE_RESOURCE_GROUP and STATE_STORAGE_ACCOUNT, created by
terraform/state, name the storage of the state; without them it is stored on this machine. DEPLOYER_IP_RANGES
sets this machine's public address. Ctrl-C stops after the current step of Terraform, and closes what is open.
`

try {
  await main()
} catch (error) {
  if (!(error instanceof DeployError)) throw error
  process.stderr.write(`npm run deploy: ${error.message}\n`)
  process.exitCode = 1
}

async function main () {
  const { options, name } = readArguments()
  if (options.help || !name) return process.stdout.write(USAGE)
  handleSignals()
  await setVariables(options.images)
  const ranges = options.inside ? [] : await findDeployerRanges()
  const storage = storageOf(process.env)
  const state = storage && !options.inside ? new StateAccess(storage) : undefined
  const environment = new Environment(HERE, name, options.yes ?? false)
  try {
    await state?.open(ranges, options.close)
    await initialise(HERE, name, storage)
    await change(environment, options, ranges)
    if (options.outputs) await writeOutputs(environment, options.outputs)
  } finally {
    startCleaning()
    environment.endQuestions()
    await cleanUp([() => environment.closeDoors(), () => environment.lock(), async () => state?.close()])
  }
  if (wasInterrupted()) throw new DeployError('interrupted')
}

function readArguments () {
  const { values: options, positionals: [name, ...rest] } = parseArgs({
    allowPositionals: true,
    options: {
      yes: { type: 'boolean' },
      inside: { type: 'boolean' },
      images: { type: 'string' },
      untried: { type: 'boolean' },
      unlock: { type: 'boolean' },
      upgrade: { type: 'string' },
      outputs: { type: 'string' },
      registry: { type: 'boolean' },
      plan: { type: 'boolean' },
      destroy: { type: 'boolean' },
      close: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' }
    }
  })
  const { registry, plan, destroy, close, help } = options
  const actions = [registry, plan, destroy, close].filter(Boolean)
  if (!help && (!name || rest.length > 0 || actions.length > 1)) {
    const problem = 'name one environment and at most one of --registry, --plan, --destroy and --close'
    throw new DeployError(`${problem}\n\n${USAGE}`)
  }
  const { upgrade, images } = options
  const isPercentage = upgrade === undefined || /^(\d\d?|100)$/.test(upgrade)
  const isAlone = actions.length === 0 || plan
  if (!isPercentage || (upgrade && !(images && isAlone))) {
    throw new DeployError('--upgrade needs a percentage from 0 to 100, and --images')
  }
  const variables = `environments/${name}.tfvars`
  if (name && !existsSync(join(HERE, variables))) throw new DeployError(`there is no terraform/${variables}`)
  if (name) checkVariables(HERE, variables)
  return { options, name }
}

type Options = ReturnType<typeof readArguments>['options']

async function setVariables (images: string | undefined) {
  const account = ['account', 'show', '--query', 'id', '--output', 'tsv']
  process.env.ARM_SUBSCRIPTION_ID ??= await outputOf('az', ...account)
  process.env.TF_IN_AUTOMATION = '1'
  // First values of the keys: used only when a secret is created
  process.env.TF_VAR_secret_values = jsonOf(KEYS, () => randomBytes(32).toString('base64url'))
  process.env.TF_VAR_images = images ?? process.env.TF_VAR_images ??
    jsonOf(IMAGES, (image) => `unbuilt/${image}@sha256:${'0'.repeat(64)}`)
}

async function change (environment: Environment, options: Options, ranges: string[]) {
  if (options.close) return environment.closeDoors({ always: true })
  if (options.registry) return environment.applyRegistry()
  const upgrade = options.upgrade ? await startUpgrade(environment, Number(options.upgrade)) : undefined
  if (options.plan) return environment.show()
  if (options.unlock) await environment.unlock()
  if (options.destroy) {
    // Deleting secrets needs access to the vault
    if (await environment.reopenDoors(ranges)) await waitForVault(environment)
    return environment.destroy(ranges)
  }
  await createRole(environment)
  await environment.openDoors(ranges)
  if (!options.images) {
    const [registry, server] = ['registry_name', 'registry_login_server']
    process.env.TF_VAR_images =
      await buildImages(await environment.output(registry), await environment.output(server))
  }
  await waitForVault(environment)
  await environment.applyAll(ranges)
  await environment.closeDoors()
  await upgrade?.finish()
  if (!options.untried) await smokeTest(environment)
}

/** Names the revisions that stay live, and moves no call to a candidate that is not ready. */
async function startUpgrade (environment: Environment, percentage: number) {
  const groups = await environment.outputMap('resource_groups')
  const live = await liveRevisions(groups)
  const ready = (attempts: number) => waitForCandidates(groups, live, attempts, WAIT_MS)
  if (percentage > 0) await ready(1)
  process.env.TF_VAR_upgrade = JSON.stringify({ live, percentage })
  return { finish: () => ready(READY_ATTEMPTS) }
}

/** Runs all steps, also after one that failed. */
async function cleanUp (steps: Array<() => Promise<unknown>>) {
  const errors: unknown[] = []
  for (const step of steps) await step().catch((error: unknown) => errors.push(error))
  if (errors.length > 0) {
    process.stderr.write('*** Public access may still be open. Run this with --close. ***\n')
    throw errors[0]
  }
}

/** Waits until a new rule and a new role take effect. */
async function waitForVault (environment: Environment) {
  const vault = ['--vault-name', await environment.output('key_vault_name')]
  const list = ['keyvault', 'secret', 'list', ...vault, '--query', '[].name', '--output', 'tsv']
  await retry(VAULT_ATTEMPTS, WAIT_MS, () => outputOf('az', ...list))
}

/** The custom role belongs to the subscription, not to an environment. Its name is the one in names.tf. */
async function createRole (environment: Environment) {
  const subscription = process.env.ARM_SUBSCRIPTION_ID
  const Name = `Cosmos DB key rotation (${subscription})`
  const query = ['--custom-role-only', 'true', '--name', Name, '--query', '[].roleName', '--output', 'tsv']
  if (await outputOf('az', 'role', 'definition', 'list', ...query)) return
  await environment.agree(`Create the custom role ${Name}?`)
  const role = JSON.parse(readFileSync(join(HERE, 'roles/cosmos-key-rotation.json'), 'utf8'))
  const definition = JSON.stringify({ ...role, Name, AssignableScopes: [`/subscriptions/${subscription}`] })
  await run('az', ['role', 'definition', 'create', '--role-definition', definition, '--output', 'none'])
}

async function findDeployerRanges () {
  const given = process.env.DEPLOYER_IP_RANGES
  if (given) return given.split(',')
  const response = await fetch(ADDRESS_URL, { signal: AbortSignal.timeout(10_000) })
  const address = (await response.text()).trim()
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(address)) {
    throw new DeployError(`${ADDRESS_URL} did not return an IPv4 address; set DEPLOYER_IP_RANGES`)
  }
  return [`${address}/32`]
}

/** Uses a subscription of its own, not of Terraform, whose state would contain the key, and deletes it. */
async function smokeTest (environment: Environment) {
  const id = `${await environment.output('gateway_id')}/subscriptions/smoke`
  const call = (method: string, path: string, ...args: string[]) => {
    const url = `https://management.azure.com${id}${path}?api-version=${APIM_VERSION}`
    return outputOf('az', 'rest', '--method', method, '--url', url, ...args)
  }
  const properties = { displayName: 'smoke test', scope: '/products/client', state: 'active' }
  try {
    await call('put', '', '--body', JSON.stringify({ properties }))
    const key = await call('post', '/listSecrets', '--query', 'primaryKey', '--output', 'tsv')
    await run(process.execPath, [join(HERE, 'smoke.ts')], {
      BASE_URL: await environment.output('gateway_url'),
      SUBSCRIPTION_KEY: key,
      RESOURCE_GROUP: await environment.output('resource_group')
    })
  } finally {
    startCleaning()
    await call('delete', '', '--headers', 'If-Match=*')
  }
}

async function writeOutputs (environment: Environment, file: string) {
  for (const name of OUTPUTS) {
    // Before the first deployment of the whole environment, there is no gateway
    const value = await environment.output(name).catch((error: unknown) => {
      if (error instanceof DeployError) return undefined
      throw error
    })
    if (value) appendFileSync(file, `${name}=${value}\n`)
  }
}

function jsonOf (names: string[], valueOf: (name: string) => string) {
  return JSON.stringify(Object.fromEntries(names.map((name) => [name, valueOf(name)])))
}
