// npm run deploy -- dev: applies the registry, pushes the images, applies the rest, and runs a smoke test.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'

const HERE = import.meta.dirname
const ROOT = join(HERE, '..')
const SERVICES = ['patient', 'audit', 'rotation'] as const
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
  --images JSON  {"patient": "<registry>/patient@sha256:…", "audit": …, "rotation": …}, instead of building them
  --untried      skips the smoke test, which needs this machine's address in client_ip_ranges
  --registry     creates only the registry and its dependencies, for images that are pushed by other means
  --plan         shows the changes, based on the state, and changes nothing
  --destroy      deletes the environment

az must be logged in to the subscription. STATE_RESOURCE_GROUP and STATE_STORAGE_ACCOUNT, created by terraform/state, name
the storage of the state; without them it is stored on this machine. DEPLOYER_IP_RANGES sets this machine's public address.
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
  const { values: { yes, inside, images: given, untried, registry, plan, destroy, help }, positionals: [environment, ...rest] } = parseArgs({
    allowPositionals: true,
    options: {
      yes: { type: 'boolean', default: false },
      inside: { type: 'boolean', default: false },
      images: { type: 'string' },
      untried: { type: 'boolean', default: false },
      registry: { type: 'boolean', default: false },
      plan: { type: 'boolean', default: false },
      destroy: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false }
    }
  })
  if (help) {
    process.stdout.write(USAGE)
    return
  }
  if (!environment || rest.length > 0 || [registry, plan, destroy].filter(Boolean).length > 1) throw new DeployError(`name one environment and at most one of --registry, --plan and --destroy\n\n${USAGE}`)
  const variables = `environments/${environment}.tfvars`
  try {
    readFileSync(join(HERE, variables))
  } catch {
    throw new DeployError(`there is no terraform/${variables}`)
  }

  process.env.ARM_SUBSCRIPTION_ID ??= await outputOf('az', 'account', 'show', '--query', 'id', '--output', 'tsv')
  process.env.TF_IN_AUTOMATION = '1'
  // First values of the keys: used only when a secret is created
  process.env.TF_VAR_secret_values = JSON.stringify(Object.fromEntries(['patient-host-key', 'audit-host-key', 'patient-data-key'].map((name) => [name, randomBytes(32).toString('base64url')])))
  process.env.TF_VAR_images = given ?? process.env.TF_VAR_images ?? JSON.stringify(Object.fromEntries(SERVICES.map((name) => [name, `unbuilt/${name}@sha256:${'0'.repeat(64)}`])))
  const ranges = inside || registry || plan ? [] : await findDeployerRanges()

  await initialise(environment)
  const change = (action: 'apply' | 'destroy' | 'plan', open: string[], ...args: string[]) =>
    run('terraform', `-chdir=${HERE}`, action, `-var-file=${variables}`, `-var=deployer_ip_ranges=${JSON.stringify(open)}`, ...(yes || action === 'plan' ? ['-input=false'] : []), ...(yes && action !== 'plan' ? ['-auto-approve'] : []), ...args)
  const publicAccess = ['-target=module.vault.azurerm_key_vault.main', '-target=module.registry.azurerm_container_registry.main']

  // Does not refresh, because the vault stays closed
  if (plan) return change('plan', ranges, '-refresh=false')
  if (registry) return change('apply', ranges, '-target=module.registry')
  if (destroy) {
    // Deleting secrets needs access to the vault
    const isBuilt = (await outputOf('terraform', `-chdir=${HERE}`, 'state', 'list')).includes('module.vault.azurerm_key_vault.main')
    if (isBuilt && ranges.length > 0) await change('apply', ranges, ...publicAccess)
    return change('destroy', ranges)
  }

  await createRole()
  try {
    // Includes the deployer's role, which takes minutes to take effect
    await change('apply', ranges, '-target=module.registry', '-target=module.vault.azurerm_role_assignment.deployer')
    if (!given) process.env.TF_VAR_images = JSON.stringify(await buildImages(await output('registry_name'), await output('registry_login_server')))
    await waitForVault(await output('key_vault_name'))
    await change('apply', ranges)
  } finally {
    if (ranges.length > 0) await change('apply', [], ...publicAccess, ...(yes ? [] : ['-input=false', '-auto-approve']))
  }
  if (!untried) await smokeTest()
}

async function initialise (environment: string) {
  const { STATE_RESOURCE_GROUP: group, STATE_STORAGE_ACCOUNT: account } = process.env
  const backend = account && group
    ? [`-backend-config=resource_group_name=${group}`, `-backend-config=storage_account_name=${account}`, '-backend-config=container_name=states', '-backend-config=key=terraform.tfstate', '-backend-config=use_azuread_auth=true']
    : []
  if (backend.length > 0) writeFileSync(join(HERE, 'backend_override.tf'), 'terraform {\n  backend "azurerm" {}\n}\n')
  else process.stderr.write('*** The state is stored on this machine, in terraform/terraform.tfstate.d, and contains keys of the databases ***\n')
  await run('terraform', `-chdir=${HERE}`, 'init', '-input=false', '-reconfigure', ...backend)
  await run('terraform', `-chdir=${HERE}`, 'workspace', 'select', '-or-create', environment)
}

/** Waits until a new rule and a new role take effect. */
async function waitForVault (vault: string) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await outputOf('az', 'keyvault', 'secret', 'list', '--vault-name', vault, '--query', '[].name', '--output', 'tsv')
    } catch (error) {
      if (attempt === VAULT_ATTEMPTS) throw error
      await sleep(VAULT_WAIT_MS)
    }
  }
}

/** The custom role belongs to the subscription, not to an environment. */
async function createRole () {
  if (await outputOf('az', 'role', 'definition', 'list', '--custom-role-only', 'true', '--name', ROLE, '--query', '[].roleName', '--output', 'tsv')) return
  const role = { ...JSON.parse(readFileSync(join(HERE, 'roles/cosmos-key-rotation.json'), 'utf8')), AssignableScopes: [`/subscriptions/${process.env.ARM_SUBSCRIPTION_ID}`] }
  await run('az', 'role', 'definition', 'create', '--role-definition', JSON.stringify(role), '--output', 'none')
}

async function findDeployerRanges () {
  const given = process.env.DEPLOYER_IP_RANGES
  if (given) return given.split(',')
  const response = await fetch(ADDRESS_URL, { signal: AbortSignal.timeout(10_000) })
  const address = (await response.text()).trim()
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(address)) throw new DeployError(`${ADDRESS_URL} did not return an IPv4 address; set DEPLOYER_IP_RANGES`)
  return [`${address}/32`]
}

/** Builds and pushes the images, tagged with the commit, because the registry deletes untagged images. */
async function buildImages (registry: string, server: string) {
  const commit = await outputOf('git', '-C', ROOT, 'rev-parse', 'HEAD')
  const directory = await mkdtemp(join(tmpdir(), 'images-'))
  try {
    await run('az', 'acr', 'login', '--name', registry)
    const images: Record<string, string> = {}
    for (const name of SERVICES) {
      const metadata = join(directory, `${name}.json`)
      await run('docker', 'buildx', 'build', '--file', join(ROOT, 'docker/Dockerfile'), '--target', name, '--platform', 'linux/amd64', '--tag', `${server}/${name}:${commit}`, '--push', '--metadata-file', metadata, ROOT)
      images[name] = `${server}/${name}@${JSON.parse(readFileSync(metadata, 'utf8'))['containerimage.digest']}`
    }
    return images
  } finally {
    await rm(directory, { recursive: true })
  }
}

/** Uses its own subscription, created here because Terraform would store its key in the state. */
async function smokeTest () {
  const base = await output('gateway_url')
  const gateway = `https://management.azure.com${await output('gateway_id')}/subscriptions/smoke`
  await outputOf('az', 'rest', '--method', 'put', '--url', `${gateway}?api-version=${APIM_VERSION}`, '--body', JSON.stringify({ properties: { displayName: 'smoke test', scope: '/products/client', state: 'active' } }))
  const key = await outputOf('az', 'rest', '--method', 'post', '--url', `${gateway}/listSecrets?api-version=${APIM_VERSION}`, '--query', 'primaryKey', '--output', 'tsv')
  await run(process.execPath, { BASE_URL: base, SUBSCRIPTION_KEY: key, RESOURCE_GROUP: await output('resource_group') }, join(HERE, 'smoke.ts'))
}

function output (name: string) {
  return outputOf('terraform', `-chdir=${HERE}`, 'output', '-raw', name)
}

/** Runs a command that uses this terminal. */
async function run (command: string, ...args: Array<string | Record<string, string>>) {
  const environment = args.filter((arg) => typeof arg === 'object')
  const words = args.filter((arg) => typeof arg === 'string')
  const child = spawn(command, words, { stdio: 'inherit', env: Object.assign({}, process.env, ...environment) })
  await ended(child, command, words)
}

/** The output of a command, without the trailing line break. */
async function outputOf (command: string, ...args: string[]) {
  const child = spawn(command, args, { stdio: ['inherit', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk) => { text += chunk })
  await ended(child, command, args)
  return text.trim()
}

function ended (child: ReturnType<typeof spawn>, command: string, args: string[]) {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  child.once('error', () => reject(new DeployError(`${command} cannot be started`)))
  child.once('close', (status) => status === 0 ? resolve() : reject(new DeployError(`${command} ${args.find((arg) => !arg.startsWith('-'))} failed`)))
  return promise
}
