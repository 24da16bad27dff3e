import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { arch, platform, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { CLIENT, SUBSCRIPTION, TENANT } from './ids.ts'
import { startProxy } from './proxy.ts'
import { Subscription } from './subscription.ts'

const ROOT = resolve(import.meta.dirname, '../../..')
/** The version of an executable that is given: the lowest that the configuration accepts. */
const VERSION = '5.2.0'
/** What the configuration reads outside terraform/. */
const READ = ['services/access.json', 'services/audit/openapi.json', 'services/patient/openapi.json']

/** A result of Terraform. */
export interface Result {
  status: number | null
  output: string
}

/** A copy of terraform/ with an empty state, and a subscription for it. */
export class Workspace {
  readonly subscription = new Subscription()
  readonly #directory = mkdtempSync(join(tmpdir(), 'arm-'))
  readonly #root: string
  #proxy?: Awaited<ReturnType<typeof startProxy>>

  /** @param root a root module, relative to the repository */
  constructor (root: string) {
    this.#root = join(this.#directory, root)
    const isSource = (path: string) => !/\/\.terraform|\.tfstate|\/tests(\/|$)/.test(path)
    cpSync(join(ROOT, 'terraform'), join(this.#directory, 'terraform'), { recursive: true, filter: isSource })
    for (const file of READ) cpSync(join(ROOT, file), join(this.#directory, file))
    const main = join(this.#root, 'main.tf')
    // The state stays in the copy
    writeFileSync(main, readFileSync(main, 'utf8').replace(/^ +backend "azurerm" \{\}\n/m, ''))
  }

  /**
   * Installs the provider and the modules.
   *
   * @param provider path of an executable of azurerm; otherwise Terraform's registry is asked
   */
  async initialise (provider: string | undefined) {
    const configuration = join(this.#directory, 'terraform.rc')
    const mirror = join(this.#directory, 'mirror')
    if (provider) {
      const system = `${platform()}_${arch() === 'x64' ? 'amd64' : arch()}`
      const place = join(mirror, 'registry.terraform.io/hashicorp/azurerm', VERSION, system)
      mkdirSync(place, { recursive: true })
      symlinkSync(resolve(provider), join(place, `terraform-provider-azurerm_v${VERSION}`))
    }
    const source = provider ? `filesystem_mirror {\n path = "${mirror}"\n}` : 'direct {}'
    writeFileSync(configuration, `provider_installation {\n${source}\n}\n`)
    return this.#run({ TF_CLI_CONFIG_FILE: configuration }, 'init', '-input=false', '-no-color')
  }

  /** Runs Terraform against the subscription. `variables` have the names and values of variables. */
  async terraform (variables: Record<string, unknown>, command: string, ...args: string[]) {
    this.#proxy ??= await startProxy(join(this.#directory, 'authority.pem'), this.subscription.answer)
    const values = Object.entries(variables).map(([name, value]) => [
      `TF_VAR_${name}`, typeof value === 'string' ? value : JSON.stringify(value)
    ])
    const environment = {
      ...Object.fromEntries(values) as Record<string, string>,
      TF_CLI_CONFIG_FILE: join(this.#directory, 'terraform.rc'),
      HTTPS_PROXY: this.#proxy.url,
      SSL_CERT_FILE: join(this.#directory, 'authority.pem'),
      ARM_CLIENT_ID: CLIENT,
      ARM_CLIENT_SECRET: 'unused',
      ARM_TENANT_ID: TENANT,
      ARM_SUBSCRIPTION_ID: SUBSCRIPTION,
      // Operations end at once here
      GO_AZURE_SDK_SKIP_POLLING_DELAY: 'true'
    }
    return this.#run(environment, command, '-input=false', '-no-color', ...args)
  }

  /** Writes a file of variables and returns its path. */
  variables (name: string, text: string) {
    const file = join(this.#directory, name)
    writeFileSync(file, text)
    return file
  }

  /** The text of the state. */
  get state () {
    return readFileSync(join(this.#root, 'terraform.tfstate'), 'utf8')
  }

  remove () {
    this.#proxy?.stop()
    rmSync(this.#directory, { recursive: true, force: true })
  }

  #run (environment: Record<string, string>, ...args: string[]) {
    const { PATH, HOME } = process.env
    const env = { PATH, HOME, TF_IN_AUTOMATION: '1', CHECKPOINT_DISABLE: '1', ...environment }
    const options = { stdio: ['ignore', 'pipe', 'pipe'] as ['ignore', 'pipe', 'pipe'], env }
    const child = spawn('terraform', [`-chdir=${this.#root}`, ...args], options)
    const { promise, resolve, reject } = Promise.withResolvers<Result>()
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => { output += text })
    }
    child.once('error', reject)
    child.once('close', (status) => resolve({ status, output }))
    return promise
  }
}
