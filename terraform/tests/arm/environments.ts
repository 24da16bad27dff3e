import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { IMAGES as NAMES } from '../../deploy/images.ts'
import { DEPLOYER, SUBSCRIPTION, TENANT } from './ids.ts'

const TERRAFORM = join(import.meta.dirname, '../..')

/** A root module with the variables of one apply. */
export interface Environment {
  name: string
  root: string
  /** The text of a file of variables. */
  variables: string
  /** Resources that are there before, by their ids. */
  present?: Record<string, object>
}

const IMAGE = `crmock.azurecr.io/NAME@sha256:${'0'.repeat(64)}`

/** What an apply needs besides its file of variables. */
const IMAGES = `
images = {
${NAMES.map((name) => `${name} = "${IMAGE.replace('NAME', name)}"`).join('\n')}
}
`
const DEPLOYED_BY = `deployer_object_id = "${DEPLOYER}"\n`

/** The variables of a run of a .tftest.hcl file, which have the syntax of a file of variables. */
function variablesOf (file: string, run?: string) {
  const text = readFileSync(join(TERRAFORM, file), 'utf8')
  const start = run ? text.indexOf(`run "${run}" {`) : 0
  const [, indent = '', body = ''] = /^( *)variables \{\n([\s\S]*?)^\1\}/m.exec(text.slice(start)) ?? []
  if (start < 0 || body === '') throw new Error(`${file} has no variables of ${run ?? 'all runs'}`)
  return body.replaceAll(new RegExp(`^${indent} {2}`, 'gm'), '')
}

const fileOf = (name: string) => readFileSync(join(TERRAFORM, `environments/${name}.tfvars`), 'utf8')

/** The variables of a run of whole.tftest.hcl, with those of all runs. */
const runOf = (name: string) => `environment = "test"
publisher = { name = "Mock", email = "mock@example.org" }
${IMAGES}${variablesOf('tests/whole.tftest.hcl', name)}`

const witness = variablesOf('witness/tests/witness.tftest.hcl')
const GROUP = '/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock'

/** The provider looks for what exists in its own subscription, whatever an id says. */
const inSubscription = (text: string) => text.replaceAll('00000000-0000-0000-0000-000000000001', SUBSCRIPTION)

/** The landing zone of the run estate: a hub with networks, a workspace, a vault and a registry. */
function hub () {
  const providers = `${GROUP.replace(/rg-mock$/, 'rg-hub')}/providers`
  const network = `${providers}/Microsoft.Network/virtualNetworks/vnet-hub`
  const policies = { privateEndpointNetworkPolicies: 'Enabled', privateLinkServiceNetworkPolicies: 'Enabled' }
  const subnets = Object.fromEntries(['apps', 'apim', 'endpoints', 'edge', 'runner'].map((name, i) =>
    [`${network}/subnets/${name}`, { properties: { addressPrefixes: [`10.9.${i}.0/26`], ...policies } }]))
  const location = 'westeurope'
  return {
    [providers.replace('/providers', '')]: { location },
    [network]: { location, properties: { addressSpace: { addressPrefixes: ['10.9.0.0/16'] } } },
    ...subnets,
    [`${providers}/Microsoft.Network/virtualNetworks/vnet-resolver`]: { location },
    [`${providers}/Microsoft.OperationalInsights/workspaces/log-hub`]: {
      location, properties: { sku: { name: 'PerGB2018' } }
    },
    [`${providers}/Microsoft.KeyVault/vaults/kv-hub`]: {
      location,
      properties: {
        tenantId: TENANT,
        sku: { name: 'standard', family: 'A' },
        enableRbacAuthorization: true,
        enablePurgeProtection: true,
        publicNetworkAccess: 'Disabled'
      }
    },
    [`${providers}/Microsoft.ContainerRegistry/registries/crhub`]: {
      location,
      sku: { name: 'Premium', tier: 'Premium' },
      properties: { adminUserEnabled: false, dataEndpointEnabled: false, loginServer: 'crhub.azurecr.io' }
    }
  }
}

/** What is applied: each file of variables, every option at once, the storage of states, and the witness. */
export const environments: Environment[] = [
  { name: 'dev', root: 'terraform', variables: IMAGES + DEPLOYED_BY + fileOf('dev') },
  { name: 'prod', root: 'terraform', variables: IMAGES + DEPLOYED_BY + fileOf('prod') },
  {
    name: 'everything',
    root: 'terraform',
    variables: runOf('everything')
  },
  ...['vcore', 'v2'].map((name) => ({ name, root: 'terraform', variables: DEPLOYED_BY + runOf(name) })),
  {
    name: 'estate',
    root: 'terraform',
    variables: `environment = "test"\npublisher = { name = "Mock", email = "mock@example.org" }\n${IMAGES}` +
      DEPLOYED_BY + inSubscription(variablesOf('tests/whole.tftest.hcl', 'estate')),
    present: JSON.parse(inSubscription(JSON.stringify(hub())))
  },
  {
    name: 'state',
    root: 'terraform/state',
    variables: `storage_account_name = "stpatientsstate"
deployer_object_ids = ["${DEPLOYER}"]
deployer_ip_ranges = ["203.0.113.10"]
`
  },
  {
    name: 'witness',
    root: 'terraform/witness',
    variables: witness,
    // The registry of the environment that is witnessed
    present: { [GROUP]: {}, [/id = "([^"]+registries[^"]+)"/.exec(witness)![1]!]: {} }
  }
]

/** The first value of each secret of an environment. A state holds none of them. */
export const SECRETS = Object.fromEntries(
  [
    'patient-host-key', 'audit-host-key', 'audit-log-key', 'audit-query-key', 'patient-data-key',
    'auditor-session-key'
  ].map((name) => [name, Buffer.from(name.padEnd(32, '.')).toString('base64url')])
)
