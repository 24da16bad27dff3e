import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'

// The mutation tests set a changed copy
const directory = resolve(process.env.TERRAFORM_DIR ?? join(import.meta.dirname, '..'))
const read = (file: string) => readFileSync(join(directory, file), 'utf8')

t.test('registers the resource providers, as Resource Manager spells them', async (t) => {
  const [, list = ''] = /resource_providers_to_register = \[([^\]]*)\]/.exec(read('terraform.tf')) ?? []
  // azurerm compares with case: internal/resourceproviders/required.go has the spelling of each
  t.same(Array.from(list.matchAll(/"([^"]+)"/g), ([, name]) => name), [
    'Microsoft.AlertsManagement',
    'Microsoft.ApiManagement',
    'Microsoft.App',
    'Microsoft.ContainerRegistry',
    'Microsoft.ContainerService',
    'Microsoft.DocumentDB',
    'Microsoft.KeyVault',
    'Microsoft.ManagedIdentity',
    'Microsoft.Network',
    'Microsoft.OperationalInsights',
    'microsoft.insights'
  ])
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
