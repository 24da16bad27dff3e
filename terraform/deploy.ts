// npm run deploy -- dev: applies the registry, pushes the images, applies the rest, and runs a smoke test.
import { execFileSync, type ExecFileSyncOptions } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'

const HERE = import.meta.dirname
const ROOT = join(HERE, '..')
const SERVICES = ['patient', 'audit', 'rotation']
const KEYS = ['patient-host-key', 'audit-host-key', 'audit-query-key', 'patient-data-key']
const ROLE = 'Cosmos DB key rotation'
const APIM_VERSION = '2024-05-01'
const VAULT_ATTEMPTS = 40
const VAULT_WAIT_MS = 15_000
const ADDRESS_URL = 'https://api.ipify.org'

const USAGE = `Creates or updates an environment in Azure. Asks before each change, except with --yes.

npm run deploy -- ENVIRONMENT [--yes] [--inside] [--images JSON] [--untried] [--registry | --plan | --destroy]

  ENVIRONMENT    a file of terraform/environments, without its extension
  --yes          does not ask
  --inside       for a runner in the virtual network: vault and registry stay closed
  --images JSON  uses these images instead of building them:
                 {"patient": "<registry>/patient@sha256:…", "audit": …, "rotation": …}
  --untried      skips the smoke test, which needs this machine's address in client_ip_ranges
  --registry     creates only the registry and its dependencies, for images that are pushed by other means
  --plan         shows the changes, based on the state, and changes nothing
  --destroy      deletes the environment

az must be logged in to the subscription. STATE_RESOURCE_GROUP and STATE_STORAGE_ACCOUNT, created by
terraform/state, name the storage of the state; without them it is stored on this machine. DEPLOYER_IP_RANGES
sets this machine's public address.
`

class DeployError extends Error {}

try {
  await main()
} catch (error) {
  if (!(error instanceof DeployError)) throw error
  process.stderr.write(`npm run deploy: ${error.message}\n`)
  process.exitCode = 1
}

async function main () {
  const { values: options, positionals: [environment, ...rest] } = parseArgs({
    allowPositionals: true,
    options: {
      yes: { type: 'boolean' },
      inside: { type: 'boolean' },
      images: { type: 'string' },
      untried: { type: 'boolean' },
      registry: { type: 'boolean' },
      plan: { type: 'boolean' },
      destroy: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' }
    }
  })
  if (options.help) return process.stdout.write(USAGE)
  const { yes, inside, images, untried, registry, plan, destroy } = options
  if (!environment || rest.length > 0 || [registry, plan, destroy].filter(Boolean).length > 1) {
    const problem = 'name one environment and at most one of --registry, --plan and --destroy'
    throw new DeployError(`${problem}

${USAGE}`)
  }
  const variables = `environments/${environment}.tfvars`
  if (!existsSync(join(HERE, variables))) throw new DeployError(`there is no terraform/${variables}`)

  process.env.ARM_SUBSCRIPTION_ID ??= outputOf('az', 'account', 'show', '--query', 'id', '--output', 'tsv')
  process.env.TF_IN_AUTOMATION = '1'
  // First values of the keys: used only when a secret is created
  process.env.TF_VAR_secret_values = jsonOf(KEYS, () => randomBytes(32).toString('base64url'))
  process.env.TF_VAR_images = images ?? process.env.TF_VAR_images ??
    jsonOf(SERVICES, (name) => `unbuilt/${name}@sha256:${'0'.repeat(64)}`)
  const ranges = inside || registry || plan ? [] : await findDeployerRanges()

  initialise(environment)
  const change = (action: 'apply' | 'destroy' | 'plan', open: string[], ...args: string[]) => {
    const approval = action === 'plan' ? ['-input=false'] : yes ? ['-input=false', '-auto-approve'] : []
    const access = `-var=deployer_ip_ranges=${JSON.stringify(open)}`
    terraform(action, `-var-file=${variables}`, access, ...approval, ...args)
  }
  const vault = 'module.vault.azurerm_key_vault.main'
  const publicAccess = [`-target=${vault}`, '-target=module.registry.azurerm_container_registry.main']

  // Does not refresh, because the vault stays closed
  if (plan) return change('plan', ranges, '-refresh=false')
  if (registry) return change('apply', ranges, '-target=module.registry')
  if (destroy) {
    // Deleting secrets needs access to the vault
    const isBuilt = outputOf('terraform', `-chdir=${HERE}`, 'state', 'list').includes(vault)
    if (isBuilt && ranges.length > 0) change('apply', ranges, ...publicAccess)
    return change('destroy', ranges)
  }

  createRole()
  try {
    // Includes the deployer's role, which takes minutes to take effect
    const role = '-target=module.vault.azurerm_role_assignment.deployer'
    change('apply', ranges, '-target=module.registry', role)
    if (!images) process.env.TF_VAR_images = buildImages()
    await waitForVault(output('key_vault_name'))
    change('apply', ranges)
  } finally {
    const approval = yes ? [] : ['-input=false', '-auto-approve']
    if (ranges.length > 0) change('apply', [], ...publicAccess, ...approval)
  }
  if (!untried) smokeTest()
}

function initialise (environment: string) {
  const { STATE_RESOURCE_GROUP: group, STATE_STORAGE_ACCOUNT: account } = process.env
  const backend = []
  if (account && group) {
    const settings = { resource_group_name: group, storage_account_name: account, container_name: 'states' }
    const all = { ...settings, key: 'terraform.tfstate', use_azuread_auth: true }
    backend.push(...Object.entries(all).map(([name, value]) => `-backend-config=${name}=${value}`))
    writeFileSync(join(HERE, 'backend_override.tf'), 'terraform {\n  backend "azurerm" {}\n}\n')
  } else {
    process.stderr.write('*** The state is stored on this machine, in terraform/terraform.tfstate.d. ' +
      'It contains keys of the databases. ***\n')
  }
  terraform('init', '-input=false', '-reconfigure', ...backend)
  terraform('workspace', 'select', '-or-create', environment)
}

/** Waits until a new rule and a new role take effect. */
async function waitForVault (vault: string) {
  for (let attempt = 1; ; attempt++) {
    try {
      const names = ['--query', '[].name', '--output', 'tsv']
      return outputOf('az', 'keyvault', 'secret', 'list', '--vault-name', vault, ...names)
    } catch (error) {
      if (attempt === VAULT_ATTEMPTS) throw error
      await sleep(VAULT_WAIT_MS)
    }
  }
}

/** The custom role belongs to the subscription, not to an environment. */
function createRole () {
  const query = ['--custom-role-only', 'true', '--name', ROLE, '--query', '[].roleName', '--output', 'tsv']
  if (outputOf('az', 'role', 'definition', 'list', ...query)) return
  const role = JSON.parse(readFileSync(join(HERE, 'roles/cosmos-key-rotation.json'), 'utf8'))
  const scoped = { ...role, AssignableScopes: [`/subscriptions/${process.env.ARM_SUBSCRIPTION_ID}`] }
  const definition = ['--role-definition', JSON.stringify(scoped)]
  run('az', ['role', 'definition', 'create', ...definition, '--output', 'none'])
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

/**
 * Builds and pushes the images, tagged with the commit, because the registry deletes untagged images.
 *
 * @returns their digests as JSON
 */
function buildImages () {
  const server = output('registry_login_server')
  const commit = outputOf('git', '-C', ROOT, 'rev-parse', 'HEAD')
  const directory = mkdtempSync(join(tmpdir(), 'images-'))
  try {
    run('az', ['acr', 'login', '--name', output('registry_name')])
    return jsonOf(SERVICES, (name) => {
      const metadata = join(directory, `${name}.json`)
      const image = ['--file', join(ROOT, 'docker/Dockerfile'), '--target', name, '--platform', 'linux/amd64']
      const push = ['--tag', `${server}/${name}:${commit}`, '--push', '--metadata-file', metadata]
      run('docker', ['buildx', 'build', ...image, ...push, ROOT])
      return `${server}/${name}@${JSON.parse(readFileSync(metadata, 'utf8'))['containerimage.digest']}`
    })
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/** Uses its own subscription, created here because Terraform would store its key in the state. */
function smokeTest () {
  const subscription = `https://management.azure.com${output('gateway_id')}/subscriptions/smoke`
  const call = (method: string, path: string, ...args: string[]) => outputOf(
    'az', 'rest', '--method', method, '--url', `${subscription}${path}?api-version=${APIM_VERSION}`, ...args
  )
  const properties = { displayName: 'smoke test', scope: '/products/client', state: 'active' }
  call('put', '', '--body', JSON.stringify({ properties }))
  const key = call('post', '/listSecrets', '--query', 'primaryKey', '--output', 'tsv')
  run(process.execPath, [join(HERE, 'smoke.ts')], {
    BASE_URL: output('gateway_url'),
    SUBSCRIPTION_KEY: key,
    RESOURCE_GROUP: output('resource_group')
  })
}

function jsonOf (names: string[], valueOf: (name: string) => string) {
  return JSON.stringify(Object.fromEntries(names.map((name) => [name, valueOf(name)])))
}

function output (name: string) {
  return outputOf('terraform', `-chdir=${HERE}`, 'output', '-raw', name)
}

function terraform (...args: string[]) {
  run('terraform', [`-chdir=${HERE}`, ...args])
}

/** Runs a command that uses this terminal. */
function run (command: string, args: string[], env: NodeJS.ProcessEnv = {}) {
  execute(command, args, { stdio: 'inherit', env: { ...process.env, ...env } })
}

/** The output of a command, without the trailing line break. */
function outputOf (command: string, ...args: string[]) {
  return String(execute(command, args, { stdio: ['inherit', 'pipe', 'inherit'] })).trim()
}

function execute (command: string, args: string[], options: ExecFileSyncOptions) {
  try {
    return execFileSync(command, args, options)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') throw new DeployError(`${command} cannot be started`)
    throw new DeployError(`${command} ${args.find((arg) => !arg.startsWith('-'))} failed`)
  }
}
