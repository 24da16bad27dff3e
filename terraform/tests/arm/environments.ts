import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { IMAGES as NAMES } from '../../deploy/images.ts'
import { DEPLOYER } from './ids.ts'

const TERRAFORM = join(import.meta.dirname, '../..')

/** A root module with the variables of one apply. */
export interface Environment {
  name: string
  root: string
  /** The text of a file of variables. */
  variables: string
  /** Ids of resources that are there before. */
  present?: string[]
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

const witness = variablesOf('witness/tests/witness.tftest.hcl')
const GROUP = '/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock'

/** What is applied: each file of variables, every option at once, the storage of states, and the witness. */
export const environments: Environment[] = [
  { name: 'dev', root: 'terraform', variables: IMAGES + DEPLOYED_BY + fileOf('dev') },
  { name: 'prod', root: 'terraform', variables: IMAGES + DEPLOYED_BY + fileOf('prod') },
  {
    name: 'everything',
    root: 'terraform',
    variables: `environment = "test"\npublisher = { name = "Mock", email = "mock@example.org" }\n${IMAGES}` +
      variablesOf('tests/whole.tftest.hcl', 'everything')
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
    present: [GROUP, /id = "([^"]+registries[^"]+)"/.exec(witness)![1]!]
  }
]

/** The first value of each secret of an environment. A state holds none of them. */
export const SECRETS = Object.fromEntries(
  [
    'patient-host-key', 'audit-host-key', 'audit-log-key', 'audit-query-key', 'patient-data-key',
    'auditor-session-key'
  ].map((name) => [name, Buffer.from(name.padEnd(32, '.')).toString('base64url')])
)
