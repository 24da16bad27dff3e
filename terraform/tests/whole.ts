import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { loadConfig as loadAuditConfig } from '../../services/audit/config.ts'
import { loadConfig as loadAuditorConfig } from '../../services/auditor/config.ts'
import { identities as assigned } from '../../services/emulators/vault/access.ts'
import { loadConfig as loadPatientConfig } from '../../services/patient/config.ts'
import { loadConfig as loadRotationConfig } from '../../services/rotation/config.ts'
import { allNames } from '../../services/rotation/strategies.ts'
import { collections } from './collections.ts'
import type { Resource } from './terraform.ts'

const ALWAYS_SECRETS = [
  'audit-db-connection', 'audit-host-key', 'audit-log-key', 'audit-query-key', 'patient-data-key',
  'patient-db-connection', 'patient-host-key'
]
const ALWAYS_IDENTITIES = ['audit', 'gateway', 'patient', 'rotation']
const READ = 'Key Vault Secrets User'
const MANAGE = 'Key Vault Secrets Officer'
const ROTATE = /^Cosmos DB key rotation \([0-9a-f-]{36}\)$/

// The values in whole.tftest.hcl, and those of its mocked accounts
const VALUES = [
  ...['0', '1', '2', '3', '4', '5'].map((digit) => digit.repeat(43)),
  'mock+key/with==', encodeURIComponent('mock+key/with==')
]

interface Role {
  address: string
  scope: string
  role_definition_name: string
  principal_id: string
}

/** Checks what is true for every environment, regardless of its variables. */
export function whatAlwaysHolds (t: Test, resources: Resource[], directory: string) {
  const of = (type: string) => resources.filter((resource) => resource.type === type)
  const one = (type: string) => {
    const [resource] = of(type)
    if (!resource) throw new Error(`there is no ${type}`)
    return resource.values
  }
  const vault = one('azurerm_key_vault')
  const roles = of('azurerm_role_assignment')
    .map(({ values, address }) => ({ ...values, address } as Record<keyof Role, string>))
  const identities = new Map(of('azurerm_user_assigned_identity')
    .map(({ index, values }) => [values.principal_id, index as string]))

  const hasAuditorPage = identities.values().some((name) => name === 'auditor')
  const ifPage = (...names: string[]) => hasAuditorPage ? names : []
  const secretsOnAzure = [...ALWAYS_SECRETS, ...ifPage('auditor-session-key')].sort()
  const services = [...ALWAYS_IDENTITIES, ...ifPage('auditor')].sort()

  const identitiesWith = (name: string) => roles.filter(({ role_definition_name: role }) => role === name)
    .map(({ principal_id: principal }) => identities.get(principal)).sort()

  t.test('each identity can open the secrets in services/access.json', async (t) => {
    const accesses = assigned.filter(({ name }) => services.includes(name))
    const wanted = accesses.flatMap(({ name, read, manage }) => [
      ...[...read].map((secret) => [name, READ, secret]),
      ...[...manage].map((secret) => [name, MANAGE, secret])
    ]).filter(([, , secret]) => secretsOnAzure.includes(secret!))
    const given = roles.filter(({ address }) => address.includes('azurerm_role_assignment.secret['))
      .map(({ scope, role_definition_name: role, principal_id: principal }) =>
        [identities.get(principal), role, scope.replace(`${vault.id}/secrets/`, '')])
    t.same(given.map(String).sort(), wanted.map(String).sort())
  })

  t.test('only the deployer has a role on the whole vault', async (t) => {
    const wide = roles.filter(({ scope }) => scope === vault.id || !scope.includes('/providers/'))
    t.same(wide.map(({ address }) => address), ['module.vault.azurerm_role_assignment.deployer'])
  })

  t.test('every secret in the table is created, and no other', async (t) => {
    t.same(of('azurerm_key_vault_secret').map(({ values }) => values.name).sort(), secretsOnAzure)
    const [rotation] = of('azurerm_container_app_job').filter(({ index }) => index === 'rotation-now')
    const { args } = rotation!.values.template[0].container[0]
    const rotated = args.includes('--all') ? allNames : args as string[]
    t.same([...rotated].sort(), secretsOnAzure, 'and the rotation does them all')
  })

  t.test('the state contains no value of a secret except the keys of the Cosmos DB accounts', async (t) => {
    const holders = resources
      .filter(({ values }) => VALUES.some((value) => JSON.stringify(values).includes(value)))
    t.same([...new Set(holders.map(({ type }) => type))], ['azurerm_cosmosdb_account'])
  })

  t.test('no secret is in a setting of an app or a job', async (t) => {
    for (const { address, values } of [...of('azurerm_container_app'), ...of('azurerm_container_app_job')]) {
      const [{ container: [container] }] = values.template
      for (const { name, value } of container.env) {
        t.notMatch(String(value ?? ''), /:\/\/[^/]*@|AccountKey=|mongodb/i, `${address}: ${name}`)
      }
      for (const secret of values.secret) {
        t.match(
          { value: null, ...secret },
          { value: null, key_vault_secret_id: /^https:\/\/[^/]+\/secrets\/[\w-]+$/ },
          `${address} reads a secret from the vault, in its newest version`
        )
      }
    }
    const secrets = of('azurerm_container_app').flatMap(({ values }) => values.secret)
    t.same(secrets, [], 'apps read theirs themselves')
  })

  t.test('services and rotation accept their settings', async (t) => {
    const loaders = {
      patient: loadPatientConfig,
      audit: loadAuditConfig,
      rotation: loadRotationConfig,
      ...(hasAuditorPage && { auditor: loadAuditorConfig })
    }
    for (const [name, load] of Object.entries(loaders)) {
      const apps = of('azurerm_container_app').filter(({ values }) => values.name === name)
      const jobs = of('azurerm_container_app_job').filter(({ index }) => String(index).split('-')[0] === name)
      const all = [...apps, ...jobs]
      t.ok(all.length > 0, `there is ${name}`)
      for (const { values } of all) {
        const env = settingsOf(values)
        const config = load(env) as Record<string, any>
        const known = [...Object.keys(config), ...Object.keys(config.secrets?.source ?? {})]
        const unknown = Object.keys(env).filter((setting) => !known.includes(setting))
        t.same(unknown, [], `${name} knows each of its settings`)
        const [identity] = of('azurerm_user_assigned_identity').filter(({ index }) => index === name)
        t.equal(env.AZURE_CLIENT_ID, identity?.values.client_id, `${name} opens the vault as itself`)
        t.equal(values.identity[0].identity_ids[0], identity?.values.id, `${name} has its identity`)
      }
    }
  })

  t.test('patient calls audit in the domain of the environment, and both name their databases', async (t) => {
    for (const { values } of of('azurerm_container_app')) {
      const env = settingsOf(values)
      t.equal(env.DATABASE_NAME, values.name === 'auditor' ? undefined : values.name)
      if (values.name === 'patient') t.match(env.AUDIT_URL, /^https:\/\/audit\.mock-0123abcd\./)
      else t.notOk('AUDIT_URL' in env)
    }
  })

  t.test('only the gateway has public access', async (t) => {
    for (const { address, type, values } of resources) {
      const open = values.public_network_access_enabled === true || values.public_network_access === 'Enabled'
      if (type === 'azurerm_api_management') continue
      const deployerUses = ['azurerm_key_vault', 'azurerm_container_registry'].includes(type)
      t.equal(open, deployerUses && deployerRanges(resources).length > 0, address)
    }
    const addresses = of('azurerm_public_ip').map(({ address }) => address.replace(/\[.*?\]/g, ''))
    const expected = [
      'module.edge.azurerm_public_ip.main',
      'module.gateway.azurerm_public_ip.main',
      'module.gateway.azurerm_public_ip.additional',
      'module.network.azurerm_public_ip.nat'
    ]
    t.same(addresses.filter((address) => !expected.includes(address)), [])
  })

  t.test('no list of addresses combines Allow and Deny', async (t) => {
    for (const { address, values } of of('azurerm_container_app')) {
      const restrictions = values.ingress[0].ip_security_restriction as Array<{ action: string }>
      t.same([...new Set(restrictions.map(({ action }) => action))], ['Allow'], address)
    }
  })

  t.test('ingress and service allow the subnet of the gateway of their region', async (t) => {
    for (const { address, values } of of('azurerm_container_app')) {
      const { ip_security_restriction: restrictions, external_enabled: external } = values.ingress[0]
      const ranges = restrictions.map(({ ip_address_range: range }: Record<string, string>) => range)
      const allowed = settingsOf(values).ALLOWED_CALLERS?.split(',')
      const region = /module\.apps\["(\w+)"\]/.exec(address)![1]
      const gateway = `module.network["${region}"].azurerm_subnet.main["gateway"]`
      const subnet = of('azurerm_subnet').find(({ address }) => address === gateway)!
      const prefix = subnet.values.address_prefixes[0]
      if (values.name === 'patient') t.same([ranges, allowed, external], [[prefix], [prefix], true])
      else if (values.name === 'auditor') t.same([ranges, external], [[prefix], true])
      else t.same([ranges, external], [[...new Set([...allowed!, '100.100.0.0/16'])], true])
    }
  })

  t.test('environments and gateways are in their subnets, and each region has all endpoints', async (t) => {
    const subnetOf = (region: string, name: string) =>
      `rg-mock-${region}/providers/Microsoft.Network/virtualNetworks/vnet-mock/subnets/snet-${name}`
    const regions = of('azurerm_virtual_network').map(({ address }) => /"(\w+)"/.exec(address)![1]!)
    for (const { address, values } of of('azurerm_container_app_environment')) {
      t.match(values.infrastructure_subnet_id, subnetOf(/"(\w+)"/.exec(address)![1]!, 'environment'))
    }
    const gateway = one('azurerm_api_management')
    t.match(gateway.virtual_network_configuration[0].subnet_id, subnetOf('primary', 'gateway'))
    t.equal(gateway.additional_location.length, regions.length - 1)
    for (const { virtual_network_configuration: [network], location } of gateway.additional_location) {
      t.match(network.subnet_id, subnetOf(location, 'gateway'))
    }
    for (const region of regions) {
      const endpoints = of('azurerm_private_endpoint')
        .filter(({ values }) => values.subnet_id.includes(`rg-mock-${region}/`))
      const names = endpoints.map(({ values }) => values.private_service_connection[0].name)
      const isPrivate = of('azurerm_monitor_private_link_scope').length > 0
      const expected = ['audit', ...(isPrivate ? ['monitor'] : []), 'patient', 'registry', 'vault']
      t.same(names.sort(), expected, region)
      for (const { values } of endpoints) t.match(values.subnet_id, /snet-endpoints$/)
    }
  })

  t.test('the gateway publishes the operations of the OpenAPI document, and no others', async (t) => {
    const operationsOf = ({ paths }: { paths: Record<string, Record<string, { operationId?: string }>> }) =>
      Object.values(paths).flatMap((path) => Object.values(path))
        .flatMap(({ operationId }) => operationId ?? []).sort()
    const documents = ['patient', 'audit'].map((service) =>
      JSON.parse(readFileSync(join(directory, `../services/${service}/openapi.json`), 'utf8')))
    const paths = Object.assign({}, ...documents.map((document) => document.paths))
    const apis = of('azurerm_api_management_api')
      .filter(({ values }) => !['echo', 'auditor'].includes(values.name))
    const imported = apis.map(({ values }) => {
      const [{ content_value: content } = {}] = values.import
      if (content) return JSON.parse(content)
      const operations = of('azurerm_api_management_api_operation').map(({ values }) => values)
        .filter(({ api_name: api }) => api === values.name)
        .map(({ url_template: path, operation_id: operationId }) => [path, { get: { operationId } }])
      return { paths: Object.fromEntries(operations) }
    })
    // Without subscriptions, no product could refuse what the audit service has of a patient
    const isPublished = (path: string) =>
      !/\/(access-log|accounting)$/.test(path) || apis.every(({ values }) => values.subscription_required)
    const expected = Object.fromEntries(Object.entries(paths).filter(([path]) => isPublished(path)))
    t.ok(operationsOf({ paths }).length > 0)
    t.same(imported.flatMap(operationsOf).sort(), operationsOf({ paths: expected as typeof paths }))
    t.same(
      imported.flatMap((document, i) => Object.keys(document.paths)
        .map((path) => `/${apis[i]!.values.path}${path}`.replace(/\/$/, ''))).sort(),
      Object.keys(expected).sort()
    )
  })

  t.test('policies use every named value, and no other names', async (t) => {
    const named = of('azurerm_api_management_named_value').map(({ values }) => values.name).sort()
    const documents = [
      ...of('azurerm_api_management_policy'),
      ...of('azurerm_api_management_api_policy'),
      ...of('azurerm_api_management_api_operation_policy'),
      ...of('azurerm_api_management_product_policy')
    ].map(({ values }) => String(values.xml_content)).join('')
    const used = new Set([...documents.matchAll(/\{\{([\w-]+)\}\}/g)].map(([, name]) => name))
    t.same([...used].sort(), named)
    // Whether they are decoded inside expressions differs from source to source
    t.notMatch(documents, '&', 'policies have no character references and no &')
    t.notMatch(documents.replaceAll('.As<JObject>()', ''), /@\([^'\n]*<(?!\/)/, 'and no other types')
  })

  t.test('the gateway caches a host key for less than half of the grace period', async (t) => {
    const cached = of('azurerm_api_management_named_value')
      .find(({ index }) => index === 'host-key-cache-seconds')!.values.value
    const [rotation] = of('azurerm_container_app_job').filter(({ index }) => index === 'rotation')
    t.ok(Number(cached) < Number(settingsOf(rotation!.values).KEY_GRACE_SECONDS) / 2)
  })

  t.test('rotation has the ids of the accounts whose keys it regenerates, and the role for it', async (t) => {
    const [rotation] = of('azurerm_container_app_job').filter(({ index }) => index === 'rotation')
    const env = settingsOf(rotation!.values)
    const accounts = Object.fromEntries(of('azurerm_cosmosdb_account')
      .map(({ index, values }) => [index, values.id]))
    t.same({ patient: env.PATIENT_COSMOS_ACCOUNT, audit: env.AUDIT_COSMOS_ACCOUNT }, accounts)
    const given = roles.filter(({ scope }) => Object.values(accounts).includes(scope))
    t.equal(given.length, 2)
    for (const role of given) {
      t.equal(identities.get(role.principal_id), 'rotation')
      t.match(role.role_definition_name, ROTATE, 'the name is unique in a tenant of several subscriptions')
    }
  })

  t.test('collections, shard keys and indexes are those of the services', async (t) => {
    const made: typeof collections = {}
    for (const { values } of of('azurerm_cosmosdb_mongo_collection')) {
      t.equal(values.shard_key, '_shardKey', values.name)
      const all = values.index as Array<{ keys: string[], unique: boolean }>
      const indexes = all.filter(({ unique }) => !unique).map(({ keys }) => keys)
      const ttl = values.default_ttl_seconds ?? undefined
      ;(made[values.database_name] ??= {})[values.name] = {
        indexes,
        ...(ttl !== undefined && { ttl_seconds: ttl })
      }
    }
    t.same(sorted(made), sorted(collections))
  })

  t.test('gateway, environments, databases, vault and registry are logged in Log Analytics', async (t) => {
    const targets = [
      'azurerm_api_management', 'azurerm_application_gateway', 'azurerm_cdn_frontdoor_profile',
      'azurerm_container_app_environment', 'azurerm_container_registry', 'azurerm_cosmosdb_account',
      'azurerm_key_vault'
    ].flatMap((type) => of(type).map(({ values }) => values.id))
    const settings = of('azurerm_monitor_diagnostic_setting')
    t.same(settings.map(({ values }) => values.target_resource_id).sort(), targets.sort())
    const workspace = one('azurerm_log_analytics_workspace').id
    t.ok(settings.every(({ values }) => values.log_analytics_workspace_id === workspace))
    t.notMatch(
      JSON.stringify(settings),
      /MongoRequests|DataPlaneRequests|QueryRuntimeStatistics|allLogs/,
      'and holds no text of commands'
    )
  })

  t.test('the services and the gateway send telemetry with their identities', async (t) => {
    const senders = services.filter((name) => name !== 'rotation')
    t.same(identitiesWith('Monitoring Metrics Publisher'), senders)
  })

  t.test('a build runner gets a valid configuration without a secret, and opens one secret', async (t) => {
    for (const { values } of of('azurerm_linux_virtual_machine_scale_set')) {
      const config = Buffer.from(values.custom_data, 'base64')
      t.match(config.toString(), /^#cloud-config\n/)
      const file = join(t.testdir({ 'user-data': config }), 'user-data')
      const check = spawnSync('cloud-init', ['schema', '--config-file', file], { encoding: 'utf8' })
      if (check.error) process.stderr.write('*** NOT TESTED: the build runner, with cloud-init ***\n')
      else t.equal(check.status, 0, check.stderr)
      const given = roles.filter(({ principal_id: principal }) => identities.get(principal) === 'runner')
      t.same(given.map(({ scope, role_definition_name: role }) => [scope, role]), [
        [`${vault.id}/secrets/runner-github-token`, READ]
      ])
    }
  })

  t.test('there are no role assignments except those in this test', async (t) => {
    const known = [
      'AcrPull',
      'Key Vault Administrator',
      'Key Vault Crypto Service Encryption User',
      READ,
      MANAGE,
      'Monitoring Metrics Publisher'
    ]
    t.same(roles.filter(({ role_definition_name: role }) => !known.includes(role) && !ROTATE.test(role)), [])
    const pullers = identitiesWith('AcrPull').filter((name) => name !== 'load-test')
    t.same(pullers, services.filter((name) => name !== 'gateway'))
  })

  t.test('each app runs its own image, referenced by digest', async (t) => {
    for (const { values, index } of [...of('azurerm_container_app'), ...of('azurerm_container_app_job')]) {
      const image = values.template[0].container[0].image
      t.match(image, /@sha256:[0-9a-f]{64}$/)
      t.match(image, `/${index === 'load-test' ? 'k6' : String(index ?? values.name).split('-')[0]}@`)
      t.equal(values.registry[0].server, one('azurerm_container_registry').login_server)
    }
  })

  t.test('the load test runs an existing script', async (t) => {
    for (const { values } of of('azurerm_container_app_job').filter(({ index }) => index === 'load-test')) {
      const [command, script] = values.template[0].container[0].args
      t.equal(command, 'run')
      t.equal(script, '/k6/load.ts')
      t.ok(existsSync(join(import.meta.dirname, '../..', script)))
    }
  })

  t.test('every resource that supports tags has those of system and environment', async (t) => {
    const taggable = resources.filter(({ values }) => 'tags' in values && values.tags !== null)
    t.ok(taggable.length > 20)
    for (const { address, type, values } of taggable) {
      if (!untagged.includes(type)) t.match(values.tags, { system: 'patients', environment: String }, address)
    }
  })

  t.test('Terraform keeps the changes that rotation makes to a secret', async (t) => {
    const source = readFileSync(join(directory, 'modules/vault/main.tf'), 'utf8')
    const [, secret = ''] = /resource "azurerm_key_vault_secret" "main" \{([\s\S]*?)\n\}/.exec(source) ?? []
    const [, ignored = ''] = /ignore_changes = \[([^\]]*)\]/.exec(secret) ?? []
    t.same(ignored.split(',').map((name) => name.trim()).sort(), [
      'content_type', 'expiration_date', 'not_before_date', 'tags', 'value_wo_version'
    ])
    t.notMatch(secret, /^\s*value\s*=/m, 'and its value is written by a write-only argument')
  })
}

// Tags of a named value are a list, and tags of a secret belong to rotation
const untagged = ['azurerm_api_management_named_value', 'azurerm_key_vault_secret']

function settingsOf (values: Record<string, any>): Record<string, string> {
  const [{ container: [container] }] = values.template
  return Object.fromEntries(container.env.map(({ name, value }: Record<string, string>) => [name, value]))
}

function deployerRanges (resources: Resource[]): string[] {
  return resources.find(({ type }) => type === 'azurerm_key_vault')?.values.network_acls[0].ip_rules ?? []
}

function sorted (databases: typeof collections) {
  return Object.fromEntries(Object.entries(databases).sort().map(([name, collections]) => [
    name,
    Object.fromEntries(Object.entries(collections).sort().map(([name, { indexes, ...rest }]) => [
      name, { ...rest, indexes: indexes.map(String).sort() }
    ]))
  ]))
}
