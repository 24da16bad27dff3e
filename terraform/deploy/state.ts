// The state: where it is stored, and how this machine reaches it.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { outputOf, retry, run } from './commands.ts'

const ATTEMPTS = 40
const WAIT_MS = Number(process.env.DEPLOY_WAIT_MS ?? 15_000)
const CONTAINER = 'states'

export interface Storage {
  group: string
  account: string
}

/** The storage account that terraform/state created, or undefined: the state is on this machine then. */
export function storageOf (env: NodeJS.ProcessEnv): Storage | undefined {
  const { STATE_RESOURCE_GROUP: group, STATE_STORAGE_ACCOUNT: account } = env
  return group && account ? { group, account } : undefined
}

/** The firewall of the storage account: closed, except while a deployment runs. */
export class StateAccess {
  #storage: Storage
  #added: string[] = []

  constructor (storage: Storage) {
    this.#storage = storage
  }

  /**
   * Admits `ranges`, unless the firewall does so anyway, and waits until the state can be read.
   *
   * @param areLeftOver removes them at the end even so: a deployment that was killed could not
   */
  async open (ranges: string[], areLeftOver = false) {
    const query = ['--query', 'ipRules[].ipAddressOrRange', '--output', 'tsv']
    const admitted = (await outputOf('az', ...this.#rules('list'), ...query)).split(/\s+/)
    // The firewall of a storage account takes no /32
    for (const address of ranges.map((range) => range.replace(/\/32$/, ''))) {
      const isAdmitted = admitted.includes(address)
      if (!isAdmitted || areLeftOver) this.#added.push(address)
      if (isAdmitted) continue
      await run('az', [...this.#rules('add'), '--ip-address', address, '--output', 'none'])
    }
    await waitForState(this.#storage.account)
  }

  /** Removes what was added. */
  async close () {
    for (const address of this.#added.splice(0)) {
      await run('az', [...this.#rules('remove'), '--ip-address', address, '--output', 'none'])
    }
  }

  #rules (action: string) {
    const { group, account } = this.#storage
    const of = ['--resource-group', group, '--account-name', account]
    return ['storage', 'account', 'network-rule', action, ...of]
  }
}

/** Rules do not apply to machines in the region of the account: those need a rule for their subnet. */
async function waitForState (account: string) {
  const blobs = ['storage', 'blob', 'list', '--account-name', account, '--container-name', CONTAINER]
  const query = ['--auth-mode', 'login', '--num-results', '1', '--query', '[].name', '--output', 'tsv']
  await retry(ATTEMPTS, WAIT_MS, () => outputOf('az', ...blobs, ...query))
}

/** Selects the backend and the workspace of `environment`. */
export async function initialise (directory: string, environment: string, storage: Storage | undefined) {
  const backend: string[] = []
  if (storage) {
    const all = {
      resource_group_name: storage.group,
      storage_account_name: storage.account,
      container_name: CONTAINER,
      key: 'terraform.tfstate',
      use_azuread_auth: true
    }
    backend.push(...Object.entries(all).map(([name, value]) => `-backend-config=${name}=${value}`))
    writeFileSync(join(directory, 'backend_override.tf'), 'terraform {\n  backend "azurerm" {}\n}\n')
  } else {
    process.stderr.write('*** The state is stored on this machine, in terraform/terraform.tfstate.d. ' +
      'It contains keys of the databases. ***\n')
  }
  await run('terraform', [`-chdir=${directory}`, 'init', '-input=false', '-reconfigure', ...backend])
  await run('terraform', [`-chdir=${directory}`, 'workspace', 'select', '-or-create', environment])
}
