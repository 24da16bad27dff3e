import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'

/** A resource of a run, with the values of its attributes. */
export interface Resource {
  address: string
  mode: 'managed' | 'data'
  type: string
  /** The key of its instance. */
  index?: string | number
  values: Record<string, any>
}

/** A run of a .tftest.hcl file: its result, its problems and its resources. */
export interface Run {
  file: string
  name: string
  passed: boolean
  problems: string[]
  resources: Resource[]
}

interface Module {
  resources?: Resource[]
  child_modules?: Module[]
}

const TERRAFORM = process.env.TERRAFORM ?? 'terraform'

export const isInstalled = spawnSync(TERRAFORM, ['version']).status === 0

interface Result {
  status: number | null
  output: string
  errors: string
}

/** Runs Terraform in `directory` and returns its output, even if it fails. */
export function terraform (directory: string, ...args: string[]) {
  const env = { ...process.env, TF_IN_AUTOMATION: '1', CHECKPOINT_DISABLE: '1' }
  const child = spawn(TERRAFORM, [`-chdir=${directory}`, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env })
  const { promise, resolve, reject } = Promise.withResolvers<Result>()
  let output = ''
  let errors = ''
  child.stdout.setEncoding('utf8').on('data', (text) => { output += text })
  child.stderr.setEncoding('utf8').on('data', (text) => { errors += text })
  child.once('error', reject)
  child.once('close', (status) => resolve({ status, output, errors }))
  return promise
}

/** Installs providers and modules without touching a state. The CLI configuration can override a provider. */
export function initialise (directory: string) {
  // Terraform also ignores a missing file
  const { TF_CLI_CONFIG_FILE: file = '' } = process.env
  const overridden = existsSync(file) && readFileSync(file, 'utf8').includes('dev_overrides')
  if (overridden) return terraform(directory, 'get')
  return terraform(directory, 'init', '-backend=false', '-input=false')
}

/** Runs the tests that `args` select. A problem outside a run gets a run named by its file or `terraform`. */
export async function test (directory: string, ...args: string[]): Promise<Run[]> {
  const { output } = await terraform(directory, 'test', '-json', '-verbose', ...args)
  const runs = new Map<string, Run>()
  const runOf = (file = 'terraform', name = '') => {
    const key = `${file} ${name}`
    if (!runs.has(key)) runs.set(key, { file, name, passed: true, problems: [], resources: [] })
    return runs.get(key)!
  }
  for (const line of output.split('\n').filter(Boolean)) {
    const { type, '@testfile': file, '@testrun': name, ...entry } = JSON.parse(line)
    if (type === 'test_run' && ['fail', 'error', 'skip'].includes(entry.test_run.status)) {
      runOf(file, name).passed = false
    }
    if (type === 'test_run' && entry.test_run.status === 'pass') runOf(file, name)
    if (type === 'test_state') runOf(file, name).resources = resourcesOf(entry.test_state.root_module)
    if (type === 'diagnostic' && entry.diagnostic.severity === 'error') {
      const { summary, detail } = entry.diagnostic
      const run = runOf(file, name)
      run.passed = false
      run.problems.push(`${summary}: ${detail}`)
    }
  }
  return [...runs.values()]
}

function resourcesOf ({ resources = [], child_modules: modules = [] }: Module): Resource[] {
  return [...resources.filter(({ mode }) => mode === 'managed'), ...modules.flatMap(resourcesOf)]
}
