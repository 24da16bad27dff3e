// Changes of one environment by Terraform, each of which is shown and agreed to before it is made.
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface, type Interface } from 'node:readline'
import { DeployError, findsChanges, interrupted, outputOf, run, wasInterrupted } from './commands.ts'

const VAULT = 'module.vault.azurerm_key_vault.main'
const REGISTRY = 'module.registry.azurerm_container_registry.main'
const LOCKS = ['module.vault.azurerm_management_lock.main', 'module.data.azurerm_management_lock.main']
const DIAGNOSTIC = 'module.gateway.azurerm_api_management_diagnostic.main["azuremonitor"]'

interface Change {
  /** What is asked for. */
  question: string
  /** What can reach the vault and the registry from outside. */
  open: string[]
  args?: string[]
}

export class Environment {
  #directory: string
  #variables: string
  #agreed: boolean
  #isOpen = false
  #isUnlocked = false
  #input: Interface | undefined
  #answers: AsyncIterator<string, undefined> | undefined

  /** @param agreed does not ask */
  constructor (directory: string, name: string, agreed: boolean) {
    this.#directory = directory
    this.#variables = `environments/${name}.tfvars`
    this.#agreed = agreed
  }

  /** Creates or updates the registry, the vault and the deployer's role, open to `ranges`. */
  async openDoors (ranges: string[]) {
    const role = '-target=module.vault.azurerm_role_assignment.deployer'
    await this.#change({
      question: ranges.length > 0
        ? `Make these changes, with vault and registry open to ${ranges.join(', ')} until the end?`
        : 'Make these changes?',
      open: ranges,
      args: ['-target=module.registry', role]
    })
  }

  /** Opens an existing vault and registry, and nothing else. */
  async reopenDoors (ranges: string[]) {
    const targets = await this.#existing([VAULT, REGISTRY])
    if (ranges.length === 0 || !targets.includes(VAULT)) return false
    const args = targets.map((address) => `-target=${address}`)
    const question = `Open the vault and the registry to ${ranges.join(', ')}?`
    await this.#change({ question, open: ranges, args })
    return true
  }

  /** Closes what is open, without a question: it was agreed to be open for this deployment only. */
  async closeDoors ({ always = false } = {}) {
    if (!this.#isOpen && !always) return
    const targets = (await this.#existing([VAULT, REGISTRY])).map((address) => `-target=${address}`)
    if (targets.length > 0) await this.#apply({ question: '', open: [], args: targets }, true)
    this.#isOpen = false
  }

  /** Lifts the delete locks, which refuse to replace role assignments too. */
  async unlock () {
    const targets = LOCKS.map((address) => `-target=${address}`)
    const args = ['-var=delete_lock_enabled=false', ...targets]
    this.#isUnlocked = true
    await this.#change({ question: 'Lift the locks until the end?', open: [], args })
  }

  /** Sets locks that were lifted. */
  async lock () {
    if (!this.#isUnlocked) return
    const args = LOCKS.map((address) => `-target=${address}`)
    await this.#apply({ question: '', open: [], args }, true)
    this.#isUnlocked = false
  }

  /**
   * Applies everything. An import of an API can fail with "Api not found" and succeed at the second try
   * (hashicorp/terraform-provider-azurerm#23322, #28201), so after a failure the rest is planned once more.
   */
  async applyAll (ranges: string[]) {
    const all = { question: 'Make these changes?', open: ranges }
    try {
      await this.#change(all)
    } catch (error) {
      if (!(error instanceof ApplyError) || wasInterrupted()) throw error
      process.stderr.write('*** Applying failed. Some errors of API Management disappear at the second ' +
        'try, so the rest is planned once more. ***\n')
      await this.#adoptDiagnostic(ranges)
      await this.#change(all)
    }
    this.#isUnlocked = false
  }

  async applyRegistry () {
    await this.#change({ question: 'Make these changes?', open: [], args: ['-target=module.registry'] })
  }

  async destroy (ranges: string[]) {
    await this.#change({ question: 'Delete all this?', open: ranges, args: ['-destroy'] })
  }

  /** Shows the changes, without a look at the vault, which stays closed. */
  async show () {
    await this.#terraform('plan', ...this.#access([]), '-refresh=false')
  }

  /** @throws {DeployError} the answer is not yes */
  async agree (question: string) {
    if (this.#agreed) return
    this.#input ??= createInterface({ input: process.stdin })
    this.#answers ??= this.#input[Symbol.asyncIterator]()
    process.stdout.write(`${question} Only "yes" is accepted: `)
    const aborted = once(interrupted, 'abort').then(() => ({ value: '' }))
    const given = interrupted.aborted ? { value: '' } : this.#answers.next()
    const { value } = await Promise.race([given, aborted])
    if (value?.trim() !== 'yes') throw new DeployError('stopped, because the change was not agreed to')
  }

  endQuestions () {
    this.#input?.close()
  }

  output (name: string) {
    return outputOf('terraform', `-chdir=${this.#directory}`, 'output', '-raw', name)
  }

  /** An output that is a map of strings. */
  async outputMap (name: string): Promise<Record<string, string>> {
    return JSON.parse(await outputOf('terraform', `-chdir=${this.#directory}`, 'output', '-json', name))
  }

  async #change (change: Change) {
    await this.#apply(change, this.#agreed)
  }

  /** Plans, asks, and applies this very plan. It contains secrets, as the state does, so it is not kept. */
  async #apply ({ question, open, args = [] }: Change, agreed: boolean) {
    const directory = mkdtempSync(join(tmpdir(), 'plan-'))
    try {
      const plan = join(directory, 'plan')
      const planned = ['plan', ...this.#access(open), '-detailed-exitcode', `-out=${plan}`, ...args]
      const isChange = await findsChanges([`-chdir=${this.#directory}`, ...planned])
      if (isChange && !agreed) await this.agree(question)
      this.#isOpen ||= open.length > 0
      if (!isChange) return
      await this.#terraform('apply', '-input=false', plan).catch((error: unknown) => {
        throw error instanceof DeployError ? new ApplyError(error.message) : error
      })
    } finally {
      rmSync(directory, { recursive: true })
    }
  }

  /** The service can have created its own request log (ImportAsExists). */
  async #adoptDiagnostic (ranges: string[]) {
    const existing = await this.#existing([DIAGNOSTIC, 'module.gateway.azurerm_api_management.main'])
    if (existing.includes(DIAGNOSTIC) || existing.length === 0) return
    const id = `${await this.output('gateway_id')}/diagnostics/azuremonitor`
    try {
      const url = `https://management.azure.com${id}?api-version=2024-05-01`
      await outputOf('az', 'rest', '--method', 'get', '--url', url, '--query', 'id', '--output', 'tsv')
    } catch (error) {
      if (error instanceof DeployError) return
      throw error
    }
    await this.#terraform('import', ...this.#access(ranges), DIAGNOSTIC, id)
  }

  async #existing (addresses: string[]) {
    const list = (await outputOf('terraform', `-chdir=${this.#directory}`, 'state', 'list')).split('\n')
    return addresses.filter((address) => list.some((line) => `${line}[`.startsWith(`${address}[`)))
  }

  #access (open: string[]) {
    const ranges = `-var=deployer_ip_ranges=${JSON.stringify(open)}`
    return [`-var-file=${this.#variables}`, ranges, '-input=false']
  }

  async #terraform (...args: string[]) {
    await run('terraform', [`-chdir=${this.#directory}`, ...args])
  }
}

class ApplyError extends DeployError {}
