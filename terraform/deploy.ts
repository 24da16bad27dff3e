// npm run deploy -- dev: the registry first, then the images by their digests, then the rest, then a smoke test.
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

const USAGE = `Builds an environment in Azure, or brings it up to date. Asks before each change, unless told not to.

npm run deploy -- ENVIRONMENT [--yes] [--inside] [--images JSON] [--untried] [--registry | --plan | --destroy]

  ENVIRONMENT    a file of terraform/environments, without its ending
  --yes          does not ask
  --inside       from a runner in the virtual network: vault and registry stay closed
  --images JSON  {"patient": "<registry>/patient@sha256:…", "audit": …, "rotation": …}, instead of building them
  --untried      ends without the smoke test, which needs this machine's address among client_ip_ranges
  --registry     makes the registry and what it stands on, for images that are brought there by other means
  --plan         shows what would be changed, by what the state knows, and changes nothing
  --destroy      takes the environment away

az is logged in to the subscription. With STATE_RESOURCE_GROUP and STATE_STORAGE_ACCOUNT, as terraform/state made them,
the state is kept there; without, it is on this machine. DEPLOYER_IP_RANGES is where this machine is seen to come from.
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
  if (!environment || rest.length > 0 || [registry, plan, destroy].filter(Boolean).length > 1) throw new DeployError(`an environment, and what to do\n\n${USAGE}`)
  const variables = `environments/${environment}.tfvars`
  try {
    readFileSync(join(HERE, variables))
  } catch {
    throw new DeployError(`there is no terraform/${variables}`)
  }

  process.env.ARM_SUBSCRIPTION_ID ??= await answer('az', 'account', 'show', '--query', 'id', '--output', 'tsv')
  process.env.TF_IN_AUTOMATION = '1'
  // First values of the keys: used where a secret is made, and never again
  process.env.TF_VAR_secret_values = JSON.stringify(Object.fromEntries(['patient-host-key', 'audit-host-key', 'patient-data-key'].map((name) => [name, randomBytes(32).toString('base64url')])))
  process.env.TF_VAR_images = given ?? process.env.TF_VAR_images ?? JSON.stringify(Object.fromEntries(SERVICES.map((name) => [name, `unbuilt/${name}@sha256:${'0'.repeat(64)}`])))
  const ranges = inside || registry || plan ? [] : await deployerRanges()

  await initialise(environment)
  const change = (action: 'apply' | 'destroy' | 'plan', open: string[], ...args: string[]) =>
    run('terraform', `-chdir=${HERE}`, action, `-var-file=${variables}`, `-var=deployer_ip_ranges=${JSON.stringify(open)}`, ...(yes || action === 'plan' ? ['-input=false'] : []), ...(yes && action !== 'plan' ? ['-auto-approve'] : []), ...args)
  const doors = ['-target=module.vault.azurerm_key_vault.main', '-target=module.registry.azurerm_container_registry.main']

  // Without a look at the vault, whose door stays closed
  if (plan) return change('plan', ranges, '-refresh=false')
  if (registry) return change('apply', ranges, '-target=module.registry')
  if (destroy) {
    // Secrets are taken away through the vault's own door
    const isBuilt = (await answer('terraform', `-chdir=${HERE}`, 'state', 'list')).includes('module.vault.azurerm_key_vault.main')
    if (isBuilt && ranges.length > 0) await change('apply', ranges, ...doors)
    return change('destroy', ranges)
  }

  await makeRole()
  try {
    // The deployer's role comes along, since it takes minutes to hold
    await change('apply', ranges, '-target=module.registry', '-target=module.vault.azurerm_role_assignment.deployer')
    if (!given) process.env.TF_VAR_images = JSON.stringify(await buildImages(await output('registry_name'), await output('registry_login_server')))
    await vaultOpens(await output('key_vault_name'))
    await change('apply', ranges)
  } finally {
    if (ranges.length > 0) await change('apply', [], ...doors, ...(yes ? [] : ['-input=false', '-auto-approve']))
  }
  if (!untried) await smokeTest()
}

async function initialise (environment: string) {
  const { STATE_RESOURCE_GROUP: group, STATE_STORAGE_ACCOUNT: account } = process.env
  const backend = account && group
    ? [`-backend-config=resource_group_name=${group}`, `-backend-config=storage_account_name=${account}`, '-backend-config=container_name=states', '-backend-config=key=terraform.tfstate', '-backend-config=use_azuread_auth=true']
    : []
  if (backend.length > 0) writeFileSync(join(HERE, 'backend_override.tf'), 'terraform {\n  backend "azurerm" {}\n}\n')
  else process.stderr.write('*** The state is kept on this machine, in terraform/terraform.tfstate.d, and holds keys of the databases ***\n')
  await run('terraform', `-chdir=${HERE}`, 'init', '-input=false', '-reconfigure', ...backend)
  await run('terraform', `-chdir=${HERE}`, 'workspace', 'select', '-or-create', environment)
}

/** A new rule and a new role take a while to hold. */
async function vaultOpens (vault: string) {
  for (let attempt = 1; ; attempt++) {
    try {
      return await answer('az', 'keyvault', 'secret', 'list', '--vault-name', vault, '--query', '[].name', '--output', 'tsv')
    } catch (error) {
      if (attempt === VAULT_ATTEMPTS) throw error
      await sleep(VAULT_WAIT_MS)
    }
  }
}

/** The custom role belongs to the subscription, not to an environment. */
async function makeRole () {
  if (await answer('az', 'role', 'definition', 'list', '--custom-role-only', 'true', '--name', ROLE, '--query', '[].roleName', '--output', 'tsv')) return
  const role = { ...JSON.parse(readFileSync(join(HERE, 'roles/cosmos-key-rotation.json'), 'utf8')), AssignableScopes: [`/subscriptions/${process.env.ARM_SUBSCRIPTION_ID}`] }
  await run('az', 'role', 'definition', 'create', '--role-definition', JSON.stringify(role), '--output', 'none')
}

async function deployerRanges () {
  const given = process.env.DEPLOYER_IP_RANGES
  if (given) return given.split(',')
  const response = await fetch(ADDRESS_URL, { signal: AbortSignal.timeout(10_000) })
  const address = (await response.text()).trim()
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(address)) throw new DeployError(`${ADDRESS_URL} does not tell this machine's address; DEPLOYER_IP_RANGES does`)
  return [`${address}/32`]
}

/** The images by their digests. Tagged by the commit, so that the registry's clean-up of what has no tag leaves them. */
async function buildImages (registry: string, server: string) {
  const commit = await answer('git', '-C', ROOT, 'rev-parse', 'HEAD')
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

/** With a subscription of its own, which is made here and not by Terraform: its key would stand in the state. */
async function smokeTest () {
  const base = await output('gateway_url')
  const gateway = `https://management.azure.com${await output('gateway_id')}/subscriptions/smoke`
  await answer('az', 'rest', '--method', 'put', '--url', `${gateway}?api-version=${APIM_VERSION}`, '--body', JSON.stringify({ properties: { displayName: 'smoke test', scope: '/products/client', state: 'active' } }))
  const key = await answer('az', 'rest', '--method', 'post', '--url', `${gateway}/listSecrets?api-version=${APIM_VERSION}`, '--query', 'primaryKey', '--output', 'tsv')
  await run(process.execPath, { BASE_URL: base, SUBSCRIPTION_KEY: key, RESOURCE_GROUP: await output('resource_group') }, join(HERE, 'smoke.ts'))
}

function output (name: string) {
  return answer('terraform', `-chdir=${HERE}`, 'output', '-raw', name)
}

/** Runs a command that speaks to whoever typed this one. */
async function run (command: string, ...args: Array<string | Record<string, string>>) {
  const environment = args.filter((arg) => typeof arg === 'object')
  const words = args.filter((arg) => typeof arg === 'string')
  const child = spawn(command, words, { stdio: 'inherit', env: Object.assign({}, process.env, ...environment) })
  await ended(child, command, words)
}

/** What a command writes, without the line break at its end. */
async function answer (command: string, ...args: string[]) {
  const child = spawn(command, args, { stdio: ['inherit', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (chunk) => { text += chunk })
  await ended(child, command, args)
  return text.trim()
}

function ended (child: ReturnType<typeof spawn>, command: string, args: string[]) {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  child.once('error', () => reject(new DeployError(`${command} is not to be had`)))
  child.once('close', (status) => status === 0 ? resolve() : reject(new DeployError(`${command} ${args.find((arg) => !arg.startsWith('-'))} failed`)))
  return promise
}
