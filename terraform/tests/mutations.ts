// npm run test:mutations: changes one setting of the configuration at a time, and expects a test to fail.
// MUTATIONS=<words> runs the mutations whose description contains these words.
/* eslint-disable no-template-curly-in-string -- they are Terraform's */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { initialise, isInstalled, test } from './terraform.ts'

const HERE = join(import.meta.dirname, '..')
const ROOT = join(HERE, '..')

const FAILURE = /^(Test assertion failed|Missing expected failure|Invalid index|Resource precondition failed)/

/** Tests that are programs; the others are .tftest.hcl files. */
const PROGRAMS: Record<string, string> = {
  files: 'files.test.ts', machine: 'runner.test.ts', whole: 'terraform.test.ts'
}

type Change = [from: string | RegExp, to: string, sentence: string]
/** The tests that must fail, the file, the text and its replacement, and the statement that becomes false. */
type Mutation = [tests: string, file: string, ...Change]

const changeOf = (tests: string, file: string) => (...change: Change): Mutation => [tests, file, ...change]
const network = changeOf('network', 'modules/network/main.tf')
const rules = changeOf('network', 'modules/network/rules.tf')
const vault = changeOf('vault', 'modules/vault/main.tf')
const runner = changeOf('runner', 'modules/runner/main.tf')
const data = changeOf('data', 'modules/data/main.tf')
const registry = changeOf('registry', 'modules/registry/main.tf')
const app = changeOf('apps', 'modules/apps/app/main.tf')
const environment = changeOf('apps', 'modules/apps/main.tf')
const refusal = changeOf('refusals', 'variables.tf')
const endpoints = changeOf('endpoints', 'modules/endpoints/main.tf')
const edge = (file: string, ...change: Change): Mutation => ['edge', `modules/edge/${file}.tf`, ...change]
const gateway = (file: string, ...change: Change): Mutation => [
  'gateway', `modules/gateway/${file}.tf`, ...change
]
const monitor = (file: string, ...change: Change): Mutation => [
  'monitor', `modules/monitor/${file}.tf`, ...change
]
const whole = (file: string, ...change: Change): Mutation => ['whole', file, ...change]
const files = (file: string, ...change: Change): Mutation => ['files', file, ...change]

const machine = (file: string, ...change: Change): Mutation => [
  'machine', `modules/runner/machine/${file}`, ...change
]

const AFTER_CLIENT_RANGES = `
    error_message = "Each entry must be an IPv4 range in CIDR notation, and not the whole internet."
  }
}

variable "cors_origins"`

const workflow = changeOf('files', '../.github/workflows/deploy.yml')

const mutations: Mutation[] = [
  files(
    'modules/network/main.tf',
    'to   = azurerm_virtual_network.main["network"]',
    'to   = azurerm_virtual_network.main["vnet"]',
    'a network keeps its place'
  ),
  files(
    'modules/edge/variables.tf',
    'description = "Subnet of an',
    'description = "The subnet of an',
    'READMEs describe the inputs'
  ),
  // What is there already
  network(
    'for_each = local.made_prefixes\n\n  name                 =',
    'for_each = local.prefixes\n\n  name                 =',
    'existing subnets stay as they are'
  ),
  network(
    '<= var.subnets.environment_prefix_length', '<= 27', 'an existing subnet has room for all replicas'
  ),
  network(
    'contains([for endpoint in self.service_endpoint : endpoint.service], "Microsoft.KeyVault")',
    'length(self.service_endpoint) >= 0',
    'an existing subnet lets the gateway read its certificate'
  ),
  network(
    'made_zones = var.existing.private_dns_zone_ids == null ? var.dns_zones : {}',
    'made_zones = var.dns_zones',
    'zones of a hub are used'
  ),
  network(
    'one([for network in azurerm_virtual_network.main : network.id]) : var.existing.virtual_network_id',
    'one([for network in azurerm_virtual_network.main : network.id]) : null',
    'zones are linked to an existing network'
  ),
  endpoints(
    'zone_ids = [for zone in endpoint.zones : var',
    'zone_ids = [for zone in [] : var',
    'endpoints have names'
  ),
  endpoints(
    /("registered_elsewhere" \{[\s\S]*?subresource_names +=) \[each.value.subresource\]/,
    '$1 ["registry"]',
    'endpoints without names connect to their resource'
  ),
  vault(
    'self.rbac_authorization_enabled && self.purge_protection_enabled && !self.public_network_access_enabled',
    'self.rbac_authorization_enabled && self.purge_protection_enabled',
    'an existing vault is closed'
  ),
  vault(
    '{ id = vault.id, name = vault.name, uri = vault.vault_uri }],\n  )[0]',
    '{ id = vault.id, name = var.names.vault, uri = vault.vault_uri }],\n  )[0]',
    'an existing vault has its own name'
  ),
  registry(
    'self.sku == "Premium" && !self.admin_enabled',
    'self.sku == "Premium"',
    'an existing registry has no administrator'
  ),
  registry(
    'server = registry.login_server }],\n  )[0]',
    'server = "${registry.name}.example" }],\n  )[0]',
    'apps pull from an existing registry'
  ),
  monitor(
    'main',
    'toset(var.workspace.existing_id == null ? ["workspace"] : [])',
    'toset(["workspace"])',
    'an existing workspace is used'
  ),
  environment(
    'for_each = toset(var.resolver_network_ids)',
    'for_each = toset([])',
    'the resolver of a hub knows the apps'
  ),
  refusal(
    'concat(["primary"], keys(var.additional_regions)))) == 0',
    'concat(["primary"], keys(var.additional_regions)))) <= 1',
    'an existing network belongs to a region'
  ),
  refusal(
    'startswith(id, "${network.virtual_network_id}/subnets/")',
    'length(id) > 0',
    'subnets are in their network'
  ),
  refusal(
    '!(var.network.nat_gateway || var.network.runner',
    '!(var.network.runner',
    'an existing network has its own way out'
  ),
  refusal('/privateDnsZones/[^/]+$", id', '/[^/]+$|^privatelink", id', 'zones are named by ids'),
  refusal('/providers/${type}/[^/]+$', '/providers/.+$', 'a vault is a vault'),
  whole(
    'main.tf',
    'existing_id          = var.existing.vault_id',
    'existing_id          = null',
    'the existing vault is used'
  ),

  // The edge
  edge('front_door', '"Prevention"', '"Detection"', 'Front Door blocks attacks'),
  edge(
    'front_door',
    'match_variable     = "SocketAddr"',
    'match_variable = "RemoteAddr"',
    'no header decides who is a client of Front Door'
  ),
  edge(
    'front_door',
    '{ negated = false, ranges = ["0.0.0.0/0", "::/0"] }',
    '{ negated = false, ranges = ["0.0.0.0/0"] }',
    'without ranges nobody reaches Front Door'
  ),
  edge(
    'front_door',
    '["^https://[^/?]+${local.status}$"]',
    '["${local.status}$"]',
    'the test of the status opens nothing else'
  ),
  edge(
    'front_door',
    '"RequestIPAddress", "RequestUri"]',
    '"RequestIPAddress"]',
    'the log of Front Door\'s firewall has no path'
  ),
  edge(
    'front_door',
    'for_each = ["QueryStringArgNames", "RequestIPAddress"]',
    'for_each = ["RequestIPAddress"]',
    'the log of Front Door has no query'
  ),
  edge(
    'front_door',
    'supported_protocols             = ["Https"]',
    'supported_protocols = ["Http", "Https"]',
    'Front Door accepts HTTPS only'
  ),
  edge('front_door', '"HttpsOnly"', '"MatchRequest"', 'Front Door sends HTTPS only'),
  edge(
    'front_door',
    'certificate_name_check_enabled = true',
    'certificate_name_check_enabled = false',
    'Front Door knows the gateway by its certificate'
  ),
  edge(
    'front_door',
    '            [for domain in azurerm_cdn_frontdoor_custom_domain.main : domain.id],\n',
    '',
    'the firewall covers every name'
  ),
  edge(
    'front_door',
    'link_to_default_domain          = var.edge.host_name == null',
    'link_to_default_domain = true',
    'clients have one name'
  ),
  edge(
    'front_door',
    'target_type            = "Gateway"',
    'target_type = "sites"',
    'Private Link leads to the gateway'
  ),
  edge('application_gateway', '"Prevention"', '"Detection"', 'the Application Gateway blocks attacks'),
  edge(
    'application_gateway',
    '"RequestJSONArgNames", ',
    '',
    'the log of its firewall has no part of a body'
  ),
  edge(
    'application_gateway',
    '"AppGwSslPolicy20220101S"',
    '"AppGwSslPolicy20150501"',
    'the Application Gateway accepts TLS 1.2 or later'
  ),
  edge(
    'application_gateway',
    '{var_client_ip}',
    '{http_req_X-Forwarded-For}',
    'the client cannot choose its address behind an Application Gateway'
  ),
  edge(
    'application_gateway',
    'rewrite_rule_set_name      = "client"',
    'rewrite_rule_set_name = null',
    'the Application Gateway reports the client'
  ),
  edge(
    'application_gateway',
    'ip_addresses = var.gateway.private_ip_addresses',
    'ip_addresses = ["203.0.113.2"]',
    'the Application Gateway calls the gateway inside the network'
  ),
  edge(
    'main',
    'logs = ["ApplicationGatewayFirewallLog"]',
    'logs = ["ApplicationGatewayFirewallLog", "ApplicationGatewayAccessLog"]',
    'queries are logged nowhere'
  ),
  edge('main', '"/status-0123456789abcdef"', '"/"', 'probes start no service'),
  rules('? ["AzureFrontDoor.Backend"] :', '? ["Internet"] :', 'only Front Door reaches the gateway'),
  rules('subnet == "edge" ? ["Inbound"]', 'subnet == "edge" ? []', 'the subnet of the edge is closed'),
  gateway(
    'edge',
    '<value>{{front-door-id}}</value>',
    '<value>*</value>',
    'the gateway knows its Front Door'
  ),
  gateway('edge', '<ip-filter action="allow">', '<ip-filter action="forbid">', 'the gateway knows its edge'),
  gateway(
    'edge',
    '.Split(\\",\\".ToCharArray()).Last()',
    '.Split(\\",\\".ToCharArray()).First()',
    'the last address is that of the edge'
  ),
  gateway(
    'edge',
    '"X-Azure-FDID", "X-Azure-SocketIP"',
    '"X-Azure-SocketIP"',
    'services get no header of the edge'
  ),
  gateway(
    'edge',
    'addressed_policy = var.edge == null ? ',
    'addressed_policy = true ? ',
    'the register has the address of the client'
  ),
  gateway(
    'main',
    '? "Internal" : "External"',
    '? "External" : "External"',
    'an internal gateway has no public address'
  ),
  refusal('&& startswith(var.gateway_sku, "StandardV2_"))', ')', 'Private Link needs a v2 tier'),
  refusal('var.edge.capacity.max <= 20', 'var.edge.capacity.max <= 125', 'units have addresses'),
  refusal(
    '"application_gateway" || length(var.additional_regions) == 0',
    '"application_gateway" || length(var.additional_regions) <= 1',
    'an Application Gateway is in one region'
  ),

  // Private telemetry
  monitor('private_link', '"PrivateOnly"', '"Open"', 'telemetry stays in the network'),
  monitor('private_link', 'workspace = local.workspace.id, ', '', 'the workspace is in the scope'),
  monitor('private_link', ', "monitor-storage"]', ']', 'private telemetry has all its names'),
  monitor(
    'main',
    /internet_ingestion_enabled( +)= !local.is_private/,
    'internet_ingestion_enabled$1= true',
    'private telemetry is not accepted from elsewhere'
  ),

  network('index + local.first_27', 'index', 'subnets do not overlap'),
  refusal(
    '4 * var.app_scale.max_replicas + 10',
    'var.app_scale.max_replicas',
    'the subnet has room for an upgrade'
  ),
  workflow(/ARM_USE_OIDC: true\n(?![\s\S]*ARM_USE_OIDC)/, '\n', 'an apply may take longer than a login'),
  workflow(
    'if: always() && steps.apply.outcome',
    'if: steps.apply.outcome',
    'a job that was stopped closes what it opened'
  ),
  workflow(
    / +az acr update --name "\$REGISTRY" --allow-exports true .*\n/, '', 'the registry may be opened'
  ),
  workflow(
    "if: runner.environment == 'github-hosted'\n        run: |\n          echo",
    'if: false\n        run: |\n          echo',
    'what is not tested is said'
  ),
  workflow('patient audit rotation auditor', 'patient audit rotation', 'every image is copied'),
  workflow('@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1', '@v7', 'actions are pinned'),
  files(
    'state/main.tf',
    'virtual_network_subnet_ids = var.deployer_subnet_ids',
    '',
    'runners in the region of the state reach it'
  ),
  files('state/main.tf', 'default_action = "Deny"', 'default_action = "Allow"', 'the state is closed'),
  files(
    'witness/app.tf', '"azure-monitor"', '"log-analytics"', 'the witness sends its logs without a key'
  ),
  environment(
    '"ContainerAppSystemLogs"', '"ContainerAppHttpLogs"', 'the platform reports what ends at its start'
  ),
  monitor(
    'main',
    /local_authentication_enabled += false(\n +daily)/,
    'local_authentication_enabled = true$1',
    'the keys of the workspace open nothing'
  ),
  monitor(
    'main',
    /daily_quota_gb += var\.workspace\.daily_cap_gb/,
    'daily_quota_gb = -1',
    'the logs have a cap'
  ),
  monitor('alerts', " and Log startswith 'sequence: '", '', 'a warning on stderr is no failure'),
  monitor('alerts', "'ContainerCrashing', ", '', 'there is an alert for containers that do not start'),
  monitor(
    'alerts', 'metric = "Availability"', 'metric = "ServiceApiHit"', 'there is an alert for the vault'
  ),
  refusal('var.logs.daily_cap_gb >= 0.1', 'var.logs.daily_cap_gb >= 0', 'a cap leaves room for logs'),
  refusal(
    '!var.network.runner || var.network.nat_gateway',
    '!var.network.runner || var.name != ""',
    'a runner has a way out'
  ),
  network(
    'subnet_id      = azurerm_subnet.main["runner"].id',
    'subnet_id      = azurerm_subnet.main["gateway"].id',
    'the way out is for the runner'
  ),
  refusal(
    'var.runner == null || var.network.runner ||', 'var.runner == null || true ||', 'a runner has a subnet'
  ),
  refusal('!contains(local.secrets, var.runner.secret_name)', 'true', 'a runner reads no key'),
  refusal(
    '&& !can(regex("^(ubuntu|windows|macos|self-hosted)", var.runner.label))', '',
    'the label of a runner is its own'
  ),
  refusal('can(regex("^[0-9a-f]{64}$", var.runner.sha256))', 'true', 'the archive of a runner has a digest'),
  machine('identity.nft', '168.63.129.16, 169.254.169.254', '168.63.129.16', 'a job has no identity'),
  machine('install.sh', 'docker-ce-cli gh', 'docker-ce-cli docker-ce gh', 'a job has no daemon of Docker'),
  machine('install.sh', /.*sha256sum --check.*\n/, '', 'the archive of a runner is checked'),
  machine('register.sh', '--header @- "${@:3}"', '--header "$(cat)" "${@:3}"', 'arguments have no token'),
  machine('register.sh', 'if [ "$status" != "$2" ]; then', 'if false; then', 'a refusal is reported'),
  machine('runner.service', /ExecStopPost=.*\n/, '', 'nothing of a job is left'),
  machine('runner.service', 'NoNewPrivileges=yes', 'NoNewPrivileges=no', 'a job gets no privileges'),
  runner('["systemctl", "disable", "--now", "ssh.socket", "ssh.service"]', '["true"]', 'there is no SSH'),
  runner(/encryption_at_host_enabled += true/, 'encryption_at_host_enabled = false', 'disks are encrypted'),
  runner(/upgrade_mode = "Manual"/, 'upgrade_mode = "Automatic"', 'an apply does not end itself'),
  runner('users = [{', 'users = ["default", {', 'nobody logs in to a runner'),
  whole('settings.tf', 'identity = "runner", secret', 'identity = "audit", secret', 'a runner has a secret'),
  files(
    'terraform.tf',
    'roll_instances_when_required = false',
    'roll_instances_when_required = true',
    'Terraform does not reimage the machine that it runs on'
  ),
  rules(
    'ports = ["80"], protocol = "Tcp", description = "Signed',
    'ports = ["22"], protocol = "Tcp", description = "Signed',
    'a runner gets the packages of its system'
  ),
  workflow(
    /(--plan .*\n +)\$\{UPGRADE:\+--upgrade "\$UPGRADE"\}/, '$1', 'what is approved is what is applied'
  ),
  network('["Microsoft.Storage"]', '["Microsoft.KeyVault"]', 'a runner reaches the state'),
  files(
    'terraform.tf',
    '"microsoft.insights"',
    '"Microsoft.Insights"',
    'resource providers have their spelling'
  ),
  files(
    'terraform.tf',
    '    "Microsoft.ContainerService",\n',
    '',
    'Container Apps finds its resource providers'
  ),
  files(
    'terraform.tf', '    "Microsoft.AlertsManagement",\n', '', 'the rule of the application is found'
  ),
  files(
    'modules/monitor/main.tf',
    'ignore_changes = [time_period]',
    'ignore_changes = [amount]',
    'a budget keeps its month'
  ),
  files(
    'modules/gateway/diagnostics.tf',
    'depends_on = [azurerm_monitor_diagnostic_setting.main]',
    'depends_on = [azurerm_api_management.main]',
    'the logger of the request log exists'
  ),
  files(
    'modules/vault/main.tf',
    '    azurerm_role_assignment.deployer,\n',
    '',
    'the lock comes after the deployer\'s role'
  ),
  files(
    'modules/data/main.tf',
    '    azurerm_role_assignment.rotation,\n',
    '',
    'the lock comes after rotation\'s role'
  ),
  refusal(
    '!var.delete_lock_enabled || var.deployer_object_id != null',
    '!var.delete_lock_enabled || var.location != null',
    'locks need a fixed deployer'
  ),
  refusal(
    'try(var.alerts.budget.amount > 0, false)',
    'try(var.alerts.budget.amount >= 0, false)',
    'a budget is more than nothing'
  ),
  monitor(
    'main', 'plantimestamp()', '"2026-01-01T00:00:00Z"', 'a budget begins in the month of its first apply'
  ),
  gateway(
    'main',
    'one([for address in azurerm_public_ip.main : address.id])',
    'one([for address in azurerm_public_ip.main : address.id])\n  zones = var.zones',
    'API Management spreads its units itself'
  ),
  gateway(
    'main',
    'try(var.custom_domain.bound, false) ? [var.custom_domain]',
    'var.custom_domain != null ? [var.custom_domain]',
    'a domain is bound in the second apply'
  ),
  gateway(
    'main', '"SystemAssigned, UserAssigned"', '"UserAssigned"', 'the vault\'s firewall admits the gateway'
  ),
  gateway(
    'main', 'scope                = each.value.scope', 'scope                = var.insights.id',
    'the gateway reads its certificate'
  ),
  network('"Microsoft.KeyVault"]', '"Microsoft.Storage"]', 'the gateway reaches the certificate'),
  whole(
    'settings.tf',
    'concat([module.network[region].subnet_prefixes["environment"]], local.platform_ranges)',
    '[module.network[region].subnet_prefixes["environment"]]',
    'audit accepts the addresses of the platform'
  ),
  whole(
    'names.tf',
    '"Cosmos DB key rotation (${data.azurerm_client_config.current.subscription_id})"',
    '"Cosmos DB key rotation"',
    'each subscription has its own role'
  ),
  whole(
    'policies/patient.xml', 'refused"] != ""))', 'refused"] &gt; ""))', 'policies have no references'
  ),
  network(
    'cidrsubnet(var.address_space, 27 - local.prefix_length, index + local.first_27)',
    'cidrsubnet(var.address_space, 28 - local.prefix_length, index + local.first_27)',
    'each subnet is a /27'
  ),
  network(
    '"Microsoft.App/environments"',
    '"Microsoft.Web/serverFarms"',
    'the environment\'s subnet is delegated to Container Apps'
  ),
  network(
    'environment = "Microsoft.App/environments"',
    'endpoints = "Microsoft.App/environments"',
    'the environment\'s subnet alone is delegated'
  ),
  network(
    'private_endpoint_network_policies = "Enabled"',
    'private_endpoint_network_policies = "Disabled"',
    'the rules apply to private endpoints'
  ),
  network(
    'local.rules[each.key], local.denials', 'local.rules[each.key], []', 'every list ends with a deny'
  ),
  network(
    'network_security_group_id = azurerm_network_security_group.main[each.key].id',
    'network_security_group_id = azurerm_network_security_group.main["gateway"].id',
    'every subnet has its own rules'
  ),
  network(
    'registration_enabled = false', 'registration_enabled = true', 'zones have no automatic registration'
  ),
  whole(
    'main.tf',
    '"privatelink.vaultcore.azure.net"',
    '"privatelink.vault.azure.net"',
    'the vault has a private DNS zone'
  ),
  whole(
    'main.tf',
    '"privatelink.ods.opinsights.azure.com"',
    '"privatelink.opinsights.azure.com"',
    'the monitor has private DNS zones'
  ),
  network('enable = true', 'enable = false', 'the DDoS plan protects the network'),
  network(
    'subnet_id      = azurerm_subnet.main["environment"].id',
    'subnet_id      = azurerm_subnet.main["gateway"].id',
    'the environment uses the NAT gateway'
  ),
  rules(
    'from = local.public[subnet] ? var.callers.ip_ranges : []',
    'from = ["Internet"]',
    'clients\' ranges alone reach the gateway'
  ),
  rules(
    'from = ["ApiManagement"], to = local.gateway, ports = ["3443"]',
    'from = ["Internet"], to = local.gateway, ports = ["3443"]',
    '3443 is for the control plane'
  ),
  rules('["443", "31443"]', '["443", "31443", "80"]', 'the gateway reaches 443 and 31443'),
  rules(
    /(name = "gateway", direction = "Inbound", from = )\[local\.gateway\](, to = local\.environment)/,
    '$1["VirtualNetwork"]$2',
    'the environment is for the gateway alone'
  ),
  rules(
    /(direction = "Inbound", from = \[local\.gateway\], to = local\.endpoints, ports = )\["443"\]/,
    '$1["443", "10255"]',
    'the gateway does not reach the databases'
  ),
  rules('access      = "Deny"', 'access      = "Allow"', 'the last rule denies'),
  rules('priority    = 4096', 'priority    = 65000', 'the deny comes before Azure\'s own rules'),
  rules(
    'local.public[subnet] && var.callers.availability_test ? ["ApplicationInsightsAvailability"] : []',
    '["ApplicationInsightsAvailability"]',
    'the availability test is an option'
  ),

  vault(
    'rbac_authorization_enabled    = true', 'rbac_authorization_enabled    = false', 'the vault has roles'
  ),
  vault(
    'purge_protection_enabled      = true',
    'purge_protection_enabled      = false',
    'the vault is protected against purging'
  ),
  vault(
    'public_network_access_enabled = length(var.deployer.ip_ranges) > 0',
    'public_network_access_enabled = true',
    'the vault has no public access'
  ),
  vault('default_action = "Deny"', 'default_action = "Allow"', 'the vault\'s firewall denies'),
  vault(
    '"AzureServices" : "None"',
    '"AzureServices" : "AzureServices"',
    'the vault\'s firewall has no exception'
  ),
  vault(
    /scope( +)= "\$\{local\.vault\.id\}\/secrets\/\$\{azurerm_key_vault_secret[^\n]*"/,
    'scope = local.vault.id',
    'a role\'s scope is one secret'
  ),
  vault(
    'role_definition_name = each.value.role',
    'role_definition_name = "Key Vault Secrets Officer"',
    'readers only read'
  ),
  vault(
    'value_wo         = var.secret_values[each.key]',
    'value = nonsensitive(ephemeralasnull("x"))',
    'secrets enter by write-only arguments'
  ),
  vault(
    '"Key Vault Administrator" : "Key Vault Secrets Officer"',
    '"Key Vault Administrator" : "Key Vault Administrator"',
    'the deployer has no more than it needs'
  ),
  vault('category = "AuditEvent"', 'category = "Other"', 'who opened what is logged'),
  vault(
    'scope                = each.value.resource_versionless_id',
    'scope                = local.vault.id',
    'the databases use one key'
  ),
  vault('lock_level = "CanNotDelete"', 'lock_level = "ReadOnly"', 'the vault is locked against deletion'),

  data(
    'public_network_access_enabled         = false',
    'public_network_access_enabled         = true',
    'accounts have no public access'
  ),
  data('consistency_level = "Strong"', 'consistency_level = "Session"', 'consistency is Strong'),
  data(
    'multiple_write_locations_enabled = false',
    'multiple_write_locations_enabled = true',
    'one region writes'
  ),
  data(
    'shard_key           = "_shardKey"',
    'shard_key           = "_id"',
    'collections are sharded by _shardKey'
  ),
  data(/(keys {3}= index\.value\n {6}unique = )false/, '$1true', 'no index is unique but _id'),
  data('"EnableMongo", "EnableServerless"', '"EnableMongo"', 'accounts are serverless'),
  data('type = "Continuous"', 'type = "Periodic"', 'backup is continuous'),
  data(
    'category = "ControlPlaneRequests"',
    'category = "MongoRequests"',
    'diagnostics hold no text of commands'
  ),
  data(
    'access_key_metadata_writes_enabled    = false',
    'access_key_metadata_writes_enabled    = true',
    'a key does not change the account'
  ),
  data(
    'scope                = each.value.id',
    'scope                = "/subscriptions/00000000-0000-0000-0000-000000000001"',
    'the rotation\'s right ends at the accounts'
  ),
  data('"MongoCluster" : "MongoDB"', '"MongoCluster" : "Sql"', 'accounts have private endpoints'),
  [
    'data',
    'modules/data/outputs.tf',
    'urlencode(account.primary_key)',
    'account.primary_key',
    'connection strings are percent-encoded'
  ],
  data(
    'public_network_access  = "Disabled"',
    'public_network_access  = "Enabled"',
    'clusters have no public access'
  ),
  data(
    'automatic_failover_enabled       = length(var.failover_locations) > 0',
    'automatic_failover_enabled       = false',
    'another region takes over'
  ),

  registry(
    'public_network_access_enabled = length(var.deployer_ip_ranges) > 0',
    'public_network_access_enabled = true',
    'the registry has no public access'
  ),
  registry(
    'admin_enabled                 = false',
    'admin_enabled                 = true',
    'the registry has no password'
  ),
  registry(
    'anonymous_pull_enabled        = false',
    'anonymous_pull_enabled        = true',
    'the registry has no anonymous readers'
  ),
  registry('default_action = "Deny"', 'default_action = "Allow"', 'the registry\'s firewall denies'),
  registry('"AcrPull"', '"AcrPush"', 'apps push no images'),

  app('allow_insecure_connections = false', 'allow_insecure_connections = true', 'apps take https alone'),
  app(
    'action           = "Allow"', 'action           = "Deny"', 'the ingress has a list of whom it allows'
  ),
  app('min_replicas = var.scale.min_replicas', 'min_replicas = 1', 'apps scale to zero'),
  app(
    'concurrent_requests = tostring(var.scale.concurrent_requests)',
    'concurrent_requests = "1000"',
    'apps scale by requests'
  ),
  app(
    /(readiness_probe \{[^}]*path +=) "\/health\/ready"/, '$1 "/health/live"', 'readiness is asked for'
  ),
  app('identity = var.identity_id', 'identity = "System"', 'images are pulled with the app\'s identity'),
  whole(
    'modules/apps/app/main.tf',
    'external_enabled           = var.external_enabled',
    'external_enabled           = false',
    'the gateway reaches both apps'
  ),
  app('latest_revision = true', 'latest_revision = false', 'the newest revision has the traffic'),
  app('? "Single" : "Multiple"', '? "Single" : "Single"', 'an upgrade keeps the revision in use'),
  app('100 - var.newest_percentage', '100', 'an upgrade divides the traffic'),
  app(/label( +)= "live"/, 'label$1= "old"', 'the revision in use has the label that scripts look for'),
  ['apps', 'modules/apps/app/variables.tf', '== 100', '<= 100', 'no call is lost outside of upgrades'],
  refusal('var.upgrade.percentage <= 100', 'var.upgrade.percentage <= 200', 'a percentage ends at 100'),
  refusal('for app in ["audit", "patient"] : can', 'for app in ["patient"] : can', 'both apps are upgraded'),
  app(
    'termination_grace_period_seconds = 30',
    'termination_grace_period_seconds = 5',
    'replicas finish what they began'
  ),

  environment(
    'internal_load_balancer_enabled     = true',
    'internal_load_balancer_enabled     = false',
    'the environment is internal'
  ),
  environment(
    'public_network_access              = "Disabled"',
    'public_network_access              = "Enabled"',
    'the environment has no public access'
  ),
  environment(
    /logs_destination +"?= "azure-monitor"/,
    'logs_destination = "log-analytics"',
    'logs go to Log Analytics without a key'
  ),
  environment(/name( +)= "\*"/, 'name = "@"', 'all names of the environment lead to it'),
  environment(
    '[azurerm_container_app_environment.main.static_ip_address]',
    '["10.0.0.4"]',
    'names lead to the environment\'s address'
  ),
  environment(
    'cron_expression          = schedule_trigger_config.value',
    'cron_expression          = "0 0 1 1 *"',
    'the rotation runs at its time'
  ),
  environment('app.external_enabled ? "" : "internal"', '""', 'audit\'s host lies below internal'),
  environment('args   = each.value.args', 'args   = ["--help"]', 'the job rotates'),

  gateway(
    'main',
    '? "Internal" : "External"',
    '? "Internal" : "None"',
    'the gateway is in the virtual network'
  ),
  gateway('main', 'frontend_tls10_enabled = false', 'frontend_tls10_enabled = true', 'TLS 1.0 is off'),
  gateway(
    'main',
    'backend_tls11_enabled  = false',
    'backend_tls11_enabled  = true',
    'TLS 1.1 is off behind the gateway'
  ),
  gateway(
    'main',
    'triple_des_ciphers_enabled                          = false',
    'triple_des_ciphers_enabled                          = true',
    'old ciphers are off'
  ),
  gateway(
    'apis',
    /(azurerm_api_management_product" "main" \{[^}]*subscription_required = )true/,
    '$1false',
    'products ask for a subscription'
  ),
  gateway(
    'apis',
    'subscription_required = local.keys_required',
    'subscription_required = false',
    'the Patient API asks for a key'
  ),
  gateway(
    'apis',
    /(azurerm_api_management_api" "echo" \{[^}]*subscription_required = )true/,
    '$1false',
    'the Echo API asks for a key'
  ),
  gateway(
    'apis', 'if name != "servers"', 'if name != "info"', 'the document does not choose the service'
  ),
  gateway(
    'apis',
    'trimprefix(path, "/patient") == "" ? "/" : trimprefix(path, "/patient")',
    'path',
    'operations lie below the API\'s path'
  ),
  gateway(
    'regions',
    '=> var.urls.patient[place.location]',
    '=> var.urls.patient["primary"]',
    'each gateway calls its own region\'s services'
  ),
  gateway(
    'apis',
    'xml_content         = each.value',
    'xml_content         = var.policies.echo',
    'products have limits'
  ),
  gateway(
    'apis',
    'product == local.first_product ? "" : "${product}-"',
    '""',
    'each product has limits of its own'
  ),
  gateway('diagnostics', /mode {2}= "Hide"/, 'mode  = "Mask"', 'query parameters are hidden'),
  gateway('diagnostics', 'body_bytes     = 0', 'body_bytes     = 512', 'diagnostics hold no body'),
  gateway(
    'diagnostics',
    'headers_to_log = []',
    'headers_to_log = ["Authorization"]',
    'diagnostics hold no header'
  ),
  gateway('diagnostics', 'correlation = "W3C"', 'correlation = "Legacy"', 'traces are W3C\'s'),
  gateway(
    'diagnostics',
    'identity_client_id = var.identity.client_id',
    'identity_client_id = null',
    'the gateway sends telemetry with its identity'
  ),
  gateway('entra', '$1\\n${local.token_check}', '$1', 'tokens are checked'),
  gateway(
    'entra',
    '"context.Subscription.Id", local.actor',
    '"context.Subscription.Id", "context.Subscription.Id"',
    'the actor is the application, without keys'
  ),

  monitor(
    'main',
    /(application_type[\s\S]*?local_authentication_enabled = )false/,
    '$1true',
    'telemetry is taken from identities alone'
  ),
  monitor(
    'main',
    'workspace_id        = local.workspace.id',
    'workspace_id        = null',
    'Application Insights keeps its data in the workspace'
  ),
  monitor(
    'alerts',
    'threshold   = var.jobs.rotation_days + 2',
    'threshold   = 10000',
    'there is an alert for an old key'
  ),
  monitor('alerts', "name == 'refused_calls'", "name == 'calls'", 'there is an alert for refused calls'),
  monitor('alerts', 'values   = ["5xx"]', 'values   = ["4xx"]', 'there is an alert for 5xx responses'),
  monitor('alerts', '/status-0123456789abcdef', '/patient', 'the availability test wakes no service'),
  monitor('workbook', '"Cold starts"', '"Starts"', 'the workbook shows cold starts'),

  whole(
    'access.tf',
    'contains(local.secrets, opening.secret)',
    'contains(local.secrets, opening.secret) && opening.identity != "audit"',
    'the table is the vault\'s on one machine'
  ),
  whole(
    'access.tf',
    'role = "Key Vault Secrets User" }],',
    'role = "Key Vault Secrets Officer" }],',
    'who reads does not write'
  ),
  whole(
    'settings.tf', 'external_enabled = true', 'external_enabled = false', 'the gateway reaches patient'
  ),
  whole(
    'settings.tf',
    /allowed_ranges {3}= \[module\.network\[region\]\.subnet_prefixes\["gateway"\]\]/,
    'allowed_ranges   = ["10.0.0.0/8"]',
    'patient\'s ingress is for the gateway\'s subnet'
  ),
  whole(
    'settings.tf',
    'ALLOWED_CALLERS     = module.network[region].subnet_prefixes["gateway"]',
    'ALLOWED_CALLERS = "0.0.0.0/0"',
    'patient is for the gateway\'s subnet'
  ),
  whole(
    'settings.tf',
    'AZURE_CLIENT_ID     = module.identity.client_ids[name]',
    'AZURE_CLIENT_ID     = module.identity.client_ids["patient"]',
    'each opens the vault as itself'
  ),
  whole(
    'settings.tf',
    'identity_id = module.identity.ids["audit"]',
    'identity_id = module.identity.ids["patient"]',
    'each has its own identity'
  ),
  whole(
    'settings.tf',
    'LOG_LEVEL                = var.logs.level',
    'LOG_LVL                  = var.logs.level',
    'services know their settings'
  ),
  whole(
    'settings.tf',
    'DATABASE_NAME   = "audit"',
    'DATABASE_NAME   = "patient"',
    'services share no database'
  ),
  whole(
    'settings.tf',
    '["--older-than", tostring(var.keys.rotation_days)]',
    '[]',
    'keys rotate when they are due'
  ),
  whole(
    'settings.tf', '_COSMOS_ACCOUNT" => id', '_COSMOS_ACCOUNTS" => id', 'the rotation knows both accounts'
  ),
  whole(
    'settings.tf',
    'host-key-cache-seconds     = tostring(var.keys.gateway_cache_seconds)',
    'host-key-cache-seconds     = tostring(var.keys.grace_seconds)',
    'a host key is kept for less than half of its grace'
  ),
  whole(
    'settings.tf',
    'gateway-identity-client-id = module.identity.client_ids["gateway"]',
    'gateway-identity-client-id = module.identity.client_ids["patient"]',
    'the gateway reads as itself'
  ),
  whole(
    'main.tf',
    /(module "vault"[\s\S]*?networks +=) local\.networks/,
    '$1 { primary = local.networks["primary"] }',
    'each region has an endpoint of the vault'
  ),
  whole(
    'main.tf',
    /(module "registry"[\s\S]*?deployer_ip_ranges +=) var\.deployer_ip_ranges/,
    '$1 ["198.51.100.0/24"]',
    'the registry is closed'
  ),
  whole(
    'main.tf',
    'for name in setsubtract(local.services, ["rotation"])',
    'for name in local.services',
    'who sends telemetry is known'
  ),
  whole(
    'modules/vault/main.tf',
    'not_before_date, tags]',
    'not_before_date]',
    'a rotated secret stays as it is'
  ),
  whole(
    'modules/data/main.tf',
    'default_ttl_seconds = each.value.ttl_seconds',
    'default_ttl_seconds = 3600',
    'patients never expire'
  ),
  whole('collections.json', '"records.id"', '"records.ids"', 'indexes are those of the services'),
  whole(
    'modules/apps/app/main.tf',
    'image  = var.image',
    'image  = replace(var.image, "/@.*/", ":latest")',
    'images are named by digest'
  ),
  whole(
    'settings.tf',
    '"${apps.urls["patient"]}/patient"',
    'apps.urls["patient"]',
    'the gateway knows where the patient service is'
  ),
  whole(
    'names.tf',
    '"kv-${var.name}-${var.environment}-${local.suffix}"',
    '"kv-${var.name}-${var.environment}-vault-${local.suffix}"',
    'names have their forms'
  ),
  whole('policies/product.xml', '{{calls-per-minute}}', '60', 'limits are named values'),

  gateway(
    'apis',
    'url_template        = each.value.url_template',
    'url_template        = trimsuffix(each.value.url_template, "/*")',
    'the API log has a wildcard'
  ),
  gateway(
    'apis',
    'contains(keys(local.audit_documents), each.key) ? [local.audit_documents[each.key]] : []',
    '[local.audit_documents["audit"]]',
    'the API log is not imported'
  ),
  monitor(
    'alerts', "name == 'audit.unsequenced_age'", "name == 'age'", 'unsequenced records raise an alert'
  ),
  monitor(
    'alerts',
    /(sequence-missing = \{[\s\S]*?operator {4}= )"LessThan"/,
    '$1"GreaterThan"',
    'a job that does not complete the log raises an alert'
  ),
  whole(
    'settings.tf',
    '"*/${var.register.sequence_minutes} * * * *"',
    'null',
    'the job completes the log on a schedule'
  ),
  whole(
    'settings.tf',
    'args      = ["/app/sequence-job.mjs"]',
    'args      = ["/app/main.mjs"]',
    'the job completes the log'
  ),
  whole(
    'settings.tf', 'LOG_ORIGIN      = var.register.origin', 'LOG_ORIGIN      = "log"', 'the log has its name'
  ),
  refusal('[5, 10, 15, 20, 30]', '[5, 7, 10, 15, 20, 30]', 'cron has the period of the job'),
  refusal(
    'var.register.query_max_days >= 1 ', 'var.register.query_max_days >= 0 ', 'a query has a longest range'
  ),
  refusal('^[^\\\\s+]{1,256}$', '^[^\\\\s]{1,256}$', 'the name of the log has no plus'),

  refusal('"smoke", "soak"', '"smoke", "lib/client", "soak"', 'the load test has one of the scripts'),
  refusal(
    `&& !endswith(range, "/0")])${AFTER_CLIENT_RANGES}`,
    `])${AFTER_CLIENT_RANGES}`,
    'the whole internet is no client'
  ),
  refusal(
    'tonumber(split("/", range)[1]) >= 24',
    'tonumber(split("/", range)[1]) >= 0',
    'the deployer is not everybody'
  ),
  refusal('@sha256:[0-9a-f]{64}$", image', '.*$", image', 'images are named by their digests'),
  refusal(
    'var.keys.gateway_cache_seconds < var.keys.grace_seconds / 2',
    'var.keys.gateway_cache_seconds <= var.keys.grace_seconds / 2',
    'a host key is kept for less than half of its grace'
  ),
  refusal(
    'id == "auditor" || length',
    'length(id) > 0 || length',
    'only auditors have the register'
  ),
  refusal('^[0-9A-Za-z_-]{43}$', '^[0-9A-Za-z_-]+$', 'keys have 256 bits'),

  gateway('auditor', '["GET", "POST"]', '["GET", "POST", "PUT"]', 'the page of auditors has two methods'),
  gateway(
    'auditor', 'subscription_required = false', 'subscription_required = true', 'a browser needs no key'
  ),
  gateway(
    'regions',
    '"auditor-backend-url-${region}" => url',
    '"auditor-backend-url-${region}" => var.urls.auditor["primary"]',
    'each gateway calls the page of its own region'
  ),
  rules(
    'var.callers.load_test || var.callers.auditor_page',
    'var.callers.load_test',
    'the page of auditors reaches the gateway'
  ),
  environment(
    'app.scale == null ? var.scale : app.scale', 'var.scale', 'an app may have a scale of its own'
  ),
  environment(
    'can(var.upgrade.live[name]) ? var.upgrade.percentage : 100',
    '100',
    'an upgrade divides the traffic of its apps only'
  ),
  whole(
    'access.tf', '["auditor-session-key"] : []', '[] : []', 'the sessions of auditors have a key'
  ),
  whole(
    'settings.tf',
    'var.database_kind == "vcore" || local.has_auditor_page',
    'var.database_kind == "vcore"',
    'rotation rotates the key of the sessions'
  ),
  whole(
    'settings.tf', 'TIME_ZONE       = var.review.time_zone', 'TIME_ZONE       = "UTC"',
    'the review has its time zone'
  ),
  whole(
    'settings.tf',
    'USUAL_HOURS     = var.review.usual_hours',
    'USUAL_HOURS     = "06:00-22:00"',
    'the review has its hours'
  ),
  refusal('contains([0, 1], var.auditor_page', 'contains([0, 1, 2], var.auditor_page', 'the page is small'),
  refusal(
    'var.auditor_page == null || var.images.auditor != null',
    'var.auditor_page == null || var.images.audit != null',
    'the page has an image'
  ),
  refusal(
    'var.auditor_page == null || contains(keys(var.secret_values), "auditor-session-key")',
    'var.auditor_page == null || length(var.secret_values) > 0',
    'the page has a key'
  ),
  refusal(
    'var.auditor_page == null || var.network.nat_gateway',
    'var.auditor_page == null || var.name != ""',
    'the page calls from a known address'
  ),
  refusal('max_replicas + 14', 'max_replicas + 10', 'the subnet has room for the page'),
  refusal(
    'var.auditor_page == null || var.edge != null || !startswith',
    'var.auditor_page == null || var.name != "" || !startswith',
    'the page has a name to call'
  ),
  refusal(
    '-([01][0-9]|2[0-3]):[0-5][0-9]$", var.review', '.*$", var.review', 'usual hours are two times'
  ),
  refusal('^[A-Za-z][A-Za-z0-9_+-]*(/', '^.*(/', 'a time zone is a name'),
  data('["MicrosoftEntraID"]', '["MicrosoftEntraID", "NativeAuth"]', 'clusters accept tokens only'),
  data(
    'var.identities[each.key].principal_id',
    'var.identities["patient"].principal_id',
    'a cluster lets in its own service only'
  ),
  changeOf('data', 'modules/data/outputs.tf')(
    'authMechanism=MONGODB-OIDC', 'authMechanism=SCRAM-SHA-256', 'services log in with tokens'
  ),
  gateway(
    'main',
    'local.tier == "PremiumV2" || try(var.edge.kind',
    'false || try(var.edge.kind',
    'a Premium v2 gateway is in the network only'
  ),
  gateway(
    'private', 'PrivateEndpointConnection == null', 'PrivateEndpointConnection != null',
    'a Standard v2 gateway filters addresses of the internet'
  ),
  gateway('private', 'length(var.client_ip_ranges) == 0', 'false', 'no client is admitted by default'),
  gateway('private', '["Gateway"]', '["Portal"]', 'the private endpoint is that of the gateway'),
  gateway(
    'main',
    'public_network_access_enabled = var.public_access_enabled',
    'public_network_access_enabled = true',
    'a Standard v2 gateway can be closed to the internet'
  ),
  gateway('main', '? ["disabled"] : []', '? ["disabled"] : ["disabled"]', 'a v2 tier has no sign-up'),
  network('"Microsoft.Web/serverFarms"', '"Microsoft.Web/hostingEnvironments"', 'Standard v2 is integrated'),
  rules(
    '["clients", "availability", "from-egress", "edge"]', '[]', 'nothing reaches the subnet of Standard v2'
  ),
  refusal(
    '|| !var.alerts.availability_test', '|| true', 'an availability test has a gateway to reach'
  ),
  refusal('|| !var.network.ddos_protection_plan', '|| true', 'a DDoS plan has an address to protect'),
  refusal(
    '!try(var.entra.replaces_keys, false)', 'try(var.entra != 0, true)', 'each application has a quota'
  ),
  refusal(
    'var.gateway_public_access || startswith',
    'var.gateway_public_access != null || startswith',
    'only Standard v2 can be closed'
  ),
  refusal(
    '!startswith(var.gateway_sku, "PremiumV2_") || var.load_test',
    'var.gateway_sku != "" || var.load_test',
    'a load test finds its gateway'
  )
]

if (!isInstalled) {
  process.stderr.write('\n*** NOT TESTED: mutations, since Terraform 1.11 or later is not installed ***\n\n')
  t.pass('skipped: no terraform', { skip: 'no terraform on this machine' })
}

// A copy contains the providers and modules of this directory
if (isInstalled) await initialise(HERE)

const { MUTATIONS: selected } = process.env
for (const [tests, file, from, to, sentence] of isInstalled ? mutations : []) {
  if (selected && !sentence.includes(selected) && selected !== tests) continue
  await t.test(`fails if it is no longer true that ${sentence}`, async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'mutation-'))
    t.teardown(() => rm(directory, { recursive: true, force: true }))
    const copy = join(directory, 'terraform')
    await cp(HERE, copy, { recursive: true, filter: (path) => !/tfstate|\.ts$/.test(path) })
    await symlink(join(ROOT, 'services'), join(directory, 'services'))
    await cp(join(ROOT, '.github'), join(directory, '.github'), { recursive: true })
    const before = await readFile(join(copy, file), 'utf8')
    const after = typeof from === 'string' ? before.replace(from, () => to) : before.replace(from, to)
    t.not(after, before, `${file} contains the text`)
    await writeFile(join(copy, file), after)
    const program = PROGRAMS[tests]
    if (program) {
      const isWhole = tests === 'whole'
      const env = { ...process.env, TERRAFORM_DIR: copy, TEST_FILES: tests, TAP_TIMEOUT: '600' }
      const stdio = ['ignore' as const, 'pipe' as const, 'ignore' as const]
      const child = spawn(process.execPath, [join(HERE, 'tests', program)], { stdio, env })
      let output = ''
      child.stdout!.setEncoding('utf8').on('data', (text) => { output += text })
      const [status] = await once(child, 'close')
      if (isWhole) t.match(output, /^ok \d+ - is valid/m, 'the changed configuration is valid')
      t.not(status, 0, 'a test fails')
    } else {
      const problems = (await test(
        copy, `-filter=tests/${tests}.tftest.hcl`
      )).flatMap(({ problems }) => problems)
      const areFailures = problems.every((problem) => FAILURE.test(problem))
      t.ok(problems.length > 0 && areFailures, `a test breaks\n${problems.join('\n')}`)
    }
  })
}
