import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { IMAGES } from '../deploy/images.ts'
import { modules, readme } from './readmes.ts'

// The mutation tests set a changed copy
const directory = resolve(process.env.TERRAFORM_DIR ?? join(import.meta.dirname, '..'))
const read = (file: string) => readFileSync(join(directory, file), 'utf8')

// azurerm compares with case: internal/resourceproviders/required.go has the spelling of each
const registered = {
  'terraform.tf': [
    'Microsoft.AlertsManagement',
    'Microsoft.ApiManagement',
    'Microsoft.App',
    'Microsoft.Cdn',
    'Microsoft.Compute',
    'Microsoft.ContainerRegistry',
    'Microsoft.ContainerService',
    'Microsoft.DocumentDB',
    'Microsoft.KeyVault',
    'Microsoft.ManagedIdentity',
    'Microsoft.Network',
    'Microsoft.OperationalInsights',
    'Microsoft.Web',
    'microsoft.insights'
  ],
  'state/main.tf': ['Microsoft.Storage'],
  'witness/main.tf': [
    'Microsoft.AlertsManagement',
    'Microsoft.App',
    'Microsoft.ContainerService',
    'Microsoft.KeyVault',
    'Microsoft.ManagedIdentity',
    'Microsoft.Network',
    'Microsoft.OperationalInsights',
    'Microsoft.Storage',
    'microsoft.insights'
  ]
}

for (const [file, names] of Object.entries(registered)) {
  t.test(`${file} registers its resource providers, as Resource Manager spells them`, async (t) => {
    const [, list = ''] = /resource_providers_to_register += \[([^\]]*)\]/.exec(read(file)) ?? []
    t.same(Array.from(list.matchAll(/"([^"]+)"/g), ([, name]) => name), names)
  })
}

t.test('an apply does not reimage the instance of a scale set that it runs on', async (t) => {
  t.match(read('terraform.tf'), 'roll_instances_when_required = false')
})

t.test('the storage of states loses its lock before the role assignments within it', async (t) => {
  const [, lock = ''] = /resource "azurerm_management_lock"[^{]*\{([\s\S]*?)\n\}/.exec(read('state/main.tf')) ?? []
  t.match(lock, /depends_on = \[.*azurerm_role_assignment\.deployer/)
})

t.test('a budget keeps the month in which it began', async (t) => {
  const file = read('modules/monitor/main.tf')
  const [, budget] = /resource "azurerm_consumption_budget[^{]*\{([\s\S]*?)\n\}/.exec(file)!
  t.match(budget, 'ignore_changes = [time_period]')
})

t.test('the gateway writes its request log once the setting that creates its logger exists', async (t) => {
  const file = read('modules/gateway/diagnostics.tf')
  const [, diagnostic] = /resource "azurerm_api_management_diagnostic"[^{]*\{([\s\S]*?)\n\}/.exec(file)!
  t.match(diagnostic, 'depends_on = [azurerm_monitor_diagnostic_setting.main]')
})

t.test('locks are the last to be created: they refuse the deletion of everything below', async (t) => {
  for (const module of ['vault', 'data']) {
    const file = read(`modules/${module}/main.tf`)
    const [, lock = ''] = /resource "azurerm_management_lock"[^{]*\{([\s\S]*?)\n\}/.exec(file)!
    const assignments = file.matchAll(/resource "azurerm_role_assignment" "(\w+)"/g)
    for (const [, name] of assignments) t.match(lock, `azurerm_role_assignment.${name},`, `${module} ${name}`)
  }
})

const workflows = join(directory, '../.github/workflows')
const DEPLOY = readFileSync(join(workflows, 'deploy.yml'), 'utf8')
/** The jobs of deploy.yml, by name. */
const jobs = new Map(DEPLOY.split(/^ {2}(?=[a-z]+:\n)/m).map((text) => [text.split(':')[0]!, text]))

t.test('a job of the workflow that applies gets its own tokens, and closes what it opened', async (t) => {
  for (const name of ['registry', 'plan', 'apply']) {
    const job = jobs.get(name)!
    // The login of az ends after an hour
    t.match(job, /^ {6}ARM_USE_OIDC: true$/m, name)
    for (const command of job.match(/npm run deploy .*/g)!) t.match(command, '${INSIDE', name)
  }
  const close = jobs.get('apply')!.split(/^ {6}- /m).filter((step) => /again|--close/.test(step))
  t.equal(close.length, 2)
  for (const step of close) t.match(step, 'if: always() && steps.apply.outcome != \'success\'')
})

t.test('the workflow plans the upgrade that it applies', async (t) => {
  for (const name of ['plan', 'apply']) {
    const job = jobs.get(name)!
    t.match(job, /^ {10}UPGRADE: \$\{\{ inputs\.upgrade \}\}$/m, name)
    t.match(job, /run: >-\n +npm run deploy .*--images "\$IMAGES"\n +\$\{UPGRADE:\+--upgrade "\$UPGRADE"\}$/m, name)
  }
})

t.test('each job with access to Azure runs where its environment has a runner', async (t) => {
  const own = "vars[format('RUNNER_{0}', inputs.environment)] || vars.RUNNER || 'ubuntu-24.04'"
  for (const name of ['registry', 'images', 'plan', 'apply', 'smoke']) {
    t.match(jobs.get(name), `runs-on: \${{ ${own} }}\n`, name)
  }
})

t.test('the workflow enables exports before public access, and disables them after it', async (t) => {
  const updates = jobs.get('images')!.match(/az acr update .*?--(?:allow-exports|public-network-enabled) \w+/g)!
  t.same(updates.map((update) => update.split(' --').at(-1)), [
    'allow-exports true', 'public-network-enabled true', 'public-network-enabled false', 'allow-exports false'
  ])
})

t.test('a smoke test that cannot reach the gateway says so, and is not red', async (t) => {
  const steps = jobs.get('smoke')!.split(/^ {6}- /m).slice(1)
  t.match(steps[0], /if: runner.environment == 'github-hosted'[\s\S]*::warning title=NOT TESTED::/)
  for (const step of steps.slice(1)) t.match(step, 'if: runner.environment != \'github-hosted\'')
})

t.test('the workflows build, publish and copy every image that a deployment names', async (t) => {
  const ci = readFileSync(join(workflows, 'ci.yml'), 'utf8')
  const targets = Array.from(ci.matchAll(/^ {8}target: \[(.*)\]$/gm), ([, list]) => list)
  t.same(targets, [IMAGES.join(', '), IMAGES.join(', ')])
  t.match(jobs.get('images'), `for name in ${IMAGES.join(' ')}; do`)
})

t.test('actions are pinned by commit', async (t) => {
  for (const file of readdirSync(workflows)) {
    const uses = readFileSync(join(workflows, file), 'utf8').match(/uses: .*/g)!
    for (const action of uses) t.match(action, /uses: (\.\/\.github\/|\S+@[0-9a-f]{40} # v\d)/, file)
  }
})

t.test('the state accepts every deployer, and runners by their subnets', async (t) => {
  const file = read('state/main.tf')
  t.match(file, /"azurerm_role_assignment" "deployer" \{\n {2}for_each = var\.deployer_object_ids\n/)
  t.match(file, 'virtual_network_subnet_ids = var.deployer_subnet_ids')
  t.match(file, 'default_action = "Deny"')
})

t.test('environments of Container Apps send their logs by a diagnostic setting', async (t) => {
  for (const path of ['modules/apps/main.tf', 'witness/app.tf']) {
    const [, environment] = /"azurerm_container_app_environment"[^{]*\{([\s\S]*?)\n\}/.exec(read(path))!
    t.match(environment, /logs_destination += "azure-monitor"/, path)
    t.notMatch(environment, 'log_analytics_workspace_id', path)
  }
  t.match(read('witness/monitor.tf'), /target_resource_id += azurerm_container_app_environment\.main\.id/)
})

t.test('the README of each module has its inputs and outputs', async (t) => {
  t.ok(modules(directory).length > 10)
  for (const module of modules(directory)) {
    const { file, current, wanted } = readme(module)
    t.match(current, /^# [\s\S]+\n## Example\n\n```hcl\n/, file)
    t.equal(current, wanted, `${file} is up to date: node terraform/tests/readmes.ts`)
  }
})

/** Resources that have another address since something existing can be used instead, by module. */
const moved: Record<string, Record<string, string>> = {
  network: { 'azurerm_virtual_network.main': 'azurerm_virtual_network.main["network"]' },
  monitor: { 'azurerm_log_analytics_workspace.main': 'azurerm_log_analytics_workspace.main["workspace"]' },
  vault: {
    'azurerm_key_vault.main': 'azurerm_key_vault.main["vault"]',
    'azurerm_monitor_diagnostic_setting.main': 'azurerm_monitor_diagnostic_setting.main["vault"]'
  },
  registry: {
    'azurerm_container_registry.main': 'azurerm_container_registry.main["registry"]',
    'azurerm_monitor_diagnostic_setting.main': 'azurerm_monitor_diagnostic_setting.main["registry"]'
  }
}
for (const module of ['data', 'registry', 'vault']) {
  moved[module] = {
    ...moved[module], 'azurerm_private_endpoint.main': 'module.endpoints.azurerm_private_endpoint.main'
  }
}

t.test('resources with a new address are moved, not made again', async (t) => {
  for (const [module, addresses] of Object.entries(moved)) {
    const blocks = read(`modules/${module}/main.tf`)
      .matchAll(/^moved \{\n {2}from = (\S+)\n {2}to {3}= (\S+)\n\}$/gm)
    t.same(Object.fromEntries(Array.from(blocks, ([, from, to]) => [from, to])), addresses, module)
  }
})
