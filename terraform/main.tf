# The whole environment: one module for each part, connected here.

data "azurerm_client_config" "current" {}

locals {
  regions = merge(
    { primary = { location = var.location, gateway_region = null, address_space = var.address_space } },
    { for code, region in var.additional_regions : code => { location = code, gateway_region = region.gateway_region, address_space = region.address_space } },
  )

  tags = merge(var.tags, { system = var.name, environment = var.environment })

  group = azurerm_resource_group.main["primary"].name
  zones = var.zone_redundant ? ["1", "2", "3"] : []

  networks = {
    for region, network in module.network : region => {
      location            = local.regions[region].location
      resource_group_name = azurerm_resource_group.main[region].name
      subnet_ids          = network.subnet_ids
      dns_zone_ids        = network.dns_zone_ids
    }
  }

  database = {
    zone = var.database_kind == "vcore" ? "privatelink.mongocluster.cosmos.azure.com" : "privatelink.mongo.cosmos.azure.com"
    port = var.database_kind == "vcore" ? 10260 : 10255
  }
}

resource "azurerm_resource_group" "main" {
  for_each = local.regions

  name     = local.names.resource_groups[each.key]
  location = each.value.location
  tags     = local.tags
}

resource "azurerm_network_ddos_protection_plan" "main" {
  for_each = toset(var.ddos_protection_plan_enabled ? ["plan"] : [])

  name                = local.names.ddos_protection_plan
  location            = var.location
  resource_group_name = local.group
  tags                = local.tags
}

module "network" {
  source   = "./modules/network"
  for_each = local.regions

  names                     = local.names.network[each.key]
  location                  = each.value.location
  resource_group_name       = azurerm_resource_group.main[each.key].name
  address_space             = each.value.address_space
  availability_test_enabled = var.availability_test_enabled
  client_ip_ranges          = var.client_ip_ranges
  load_test_enabled         = var.load_test != null && each.key == "primary"
  auditor_page_enabled      = local.has_auditor_page
  database_port             = local.database.port
  database_zone             = local.database.zone
  vault_endpoint_enabled    = var.custom_domain != null
  environment_prefix_length = var.environment_prefix_length
  ddos_protection_plan_id   = one([for plan in azurerm_network_ddos_protection_plan.main : plan.id])
  multiple_regions          = length(local.regions) > 1
  nat_gateway_enabled       = var.nat_gateway_enabled
  runner_enabled            = var.runner_enabled
  witnesses_enabled         = length(var.witnesses) > 0
  tags                      = local.tags
}

module "identity" {
  source = "./modules/identity"

  names               = local.names.identities
  location            = var.location
  resource_group_name = local.group
  tags                = local.tags
}

module "monitor" {
  source = "./modules/monitor"

  names                     = local.names.monitor
  location                  = var.location
  resource_group_name       = local.group
  resource_group_ids        = { for region, group in azurerm_resource_group.main : region => group.id }
  retention_in_days         = var.log_retention_days
  daily_cap_gb              = var.log_daily_cap_gb
  vault_id                  = module.vault.id
  publishers                = { for name in setsubtract(local.services, ["rotation"]) : name => module.identity.principal_ids[name] }
  alert_emails              = var.alert_emails
  thresholds                = var.alert_thresholds
  availability_test_enabled = var.availability_test_enabled
  budget                    = var.budget
  gateway                   = { id = module.gateway.id, url = module.gateway.url }
  key_rotation_days         = var.key_rotation_days
  rotation_job              = "rotation"
  sequence_job              = "audit-sequence"
  tags                      = local.tags
}

module "registry" {
  source = "./modules/registry"

  names                      = local.names.registry
  location                   = var.location
  replica_locations          = keys(var.additional_regions)
  resource_group_name        = local.group
  networks                   = local.networks
  deployer_ip_ranges         = var.deployer_ip_ranges
  pullers                    = { for name in setsubtract(local.identities, ["gateway", "databases"]) : name => module.identity.principal_ids[name] }
  log_analytics_workspace_id = module.monitor.workspace_id
  zone_redundant             = var.zone_redundant
  tags                       = local.tags
}

module "vault" {
  source = "./modules/vault"

  names                        = local.names.vault
  location                     = var.location
  resource_group_name          = local.group
  networks                     = local.networks
  sku_name                     = var.vault_sku
  tenant_id                    = data.azurerm_client_config.current.tenant_id
  deployer_ip_ranges           = var.deployer_ip_ranges
  deployer_object_id           = coalesce(var.deployer_object_id, data.azurerm_client_config.current.object_id)
  identities                   = module.identity.principal_ids
  access                       = local.access
  secrets                      = local.secrets
  secret_values                = merge(var.secret_values, { for service, connection in module.data.connection_strings : "${service}-db-connection" => connection })
  foreign_secrets              = local.foreign_secrets
  locked_after                 = module.gateway.certificate_role_ids
  certificate_enabled          = var.custom_domain != null
  customer_managed_key_enabled = var.customer_managed_key_enabled
  delete_lock_enabled          = var.delete_lock_enabled
  log_analytics_workspace_id   = module.monitor.workspace_id
  tags                         = local.tags
}

module "data" {
  source = "./modules/data"

  names                            = local.names.data
  location                         = var.location
  failover_locations               = keys(var.additional_regions)
  resource_group_name              = local.group
  networks                         = local.networks
  kind                             = var.database_kind
  collections                      = jsondecode(file("${path.root}/collections.json"))
  autoscale_max_throughput         = var.database_max_throughput
  backup_tier                      = var.backup_tier
  customer_managed_key_id          = module.vault.customer_managed_key_id
  customer_managed_key_identity_id = var.customer_managed_key_enabled ? module.identity.ids["databases"] : null
  rotation                         = { principal_id = module.identity.principal_ids["rotation"], role = local.names.rotation_role }
  vcore                            = var.vcore
  vcore_passwords                  = var.vcore_passwords
  delete_lock_enabled              = var.delete_lock_enabled
  log_analytics_workspace_id       = module.monitor.workspace_id
  zone_redundant                   = var.zone_redundant
  tags                             = local.tags
}

module "apps" {
  source   = "./modules/apps"
  for_each = local.regions

  names                      = local.names.apps[each.key]
  location                   = each.value.location
  resource_group_name        = azurerm_resource_group.main[each.key].name
  subnet_id                  = module.network[each.key].subnet_ids["environment"]
  virtual_network_id         = module.network[each.key].virtual_network_id
  registry_server            = module.registry.login_server
  apps                       = local.apps[each.key]
  jobs                       = each.key == "primary" ? local.jobs : {}
  scale                      = var.app_scale
  upgrade                    = var.upgrade == null ? null : { live = var.upgrade.live[each.key], percentage = var.upgrade.percentage }
  log_analytics_workspace_id = module.monitor.workspace_id
  zone_redundant             = var.zone_redundant
  tags                       = local.tags
}

module "gateway" {
  source = "./modules/gateway"

  names               = local.names.gateway
  location            = var.location
  resource_group_name = local.group
  subnet_id           = module.network["primary"].subnet_ids["gateway"]
  sku_name            = var.gateway_sku
  zones               = local.zones
  publisher           = var.publisher
  identity_id         = module.identity.ids["gateway"]
  identity_client_id  = module.identity.client_ids["gateway"]
  products            = var.products
  entra               = var.entra
  cors_origins        = var.cors_origins
  product_conditions  = jsondecode(file("${path.root}/policies/products.json"))
  documents           = { for name in ["audit", "patient"] : name => jsondecode(file("${path.root}/../services/${name}/openapi.json")) }
  audit_urls          = local.audit_urls
  auditor_urls        = local.auditor_urls
  patient_urls        = local.patient_urls
  policies            = { for name in ["global", "product", "patient", "echo", "auditor"] : name => file("${path.root}/policies/${name}.xml") }
  named_values        = local.named_values
  sampling_percentage = 100 * var.telemetry_sampling

  custom_domain = var.custom_domain == null ? null : {
    host_name = var.custom_domain.host_name
    secret_id = "${module.vault.uri}secrets/${var.custom_domain.certificate_name}"
    bound     = var.custom_domain.bound
    scope     = "${module.vault.id}/secrets/${var.custom_domain.certificate_name}"
  }

  additional_locations = [
    for region in keys(var.additional_regions) : {
      location          = region
      name              = var.additional_regions[region].gateway_region
      subnet_id         = module.network[region].subnet_ids["gateway"]
      zones             = local.zones
      resource_group    = azurerm_resource_group.main[region].name
      public_ip_name    = "${local.names.gateway.public_ip}-${region}"
      domain_name_label = "${local.names.gateway.domain_name_label}-${region}"
    }
  ]

  insights                   = { id = module.monitor.insights_id, connection_string = module.monitor.connection_string }
  log_analytics_workspace_id = module.monitor.workspace_id
  tags                       = local.tags
}
