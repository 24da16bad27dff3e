# The whole environment: one module for each part, connected here.

data "azurerm_client_config" "current" {}

locals {
  regions = merge(
    { primary = { location = var.location, gateway_region = null, address_space = var.network.address_space } },
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

  context = { location = var.location, resource_group_name = local.group, tags = local.tags }
  # Beside it, where diagnostics go. The workspace itself is created in the first.
  monitored_context = merge(local.context, { workspace_id = module.monitor.workspace_id })

  dns_zones = merge(
    {
      database = local.database.zone
      registry = "privatelink.azurecr.io"
      vault    = "privatelink.vaultcore.azure.net"
    },
    # https://learn.microsoft.com/azure/azure-monitor/fundamentals/private-link-configure
    var.logs.private ? {
      monitor         = "privatelink.monitor.azure.com"
      monitor-agents  = "privatelink.agentsvc.azure-automation.net"
      monitor-data    = "privatelink.ods.opinsights.azure.com"
      monitor-logs    = "privatelink.oms.opinsights.azure.com"
      monitor-storage = "privatelink.blob.core.windows.net"
    } : {},
  )

  # What clients call
  url = var.edge == null ? module.gateway.url : "https://${module.edge["edge"].host_name}"

  edge_kind = try(var.edge.kind, null)

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
  for_each = toset(var.network.ddos_protection_plan ? ["plan"] : [])

  name                = local.names.ddos_protection_plan
  location            = var.location
  resource_group_name = local.group
  tags                = local.tags
}

module "network" {
  source   = "./modules/network"
  for_each = local.regions

  names                   = local.names.network[each.key]
  context                 = { location = each.value.location, resource_group_name = azurerm_resource_group.main[each.key].name, tags = local.tags }
  existing                = try(var.existing.networks[each.key], {})
  address_space           = each.value.address_space
  database_port           = local.database.port
  ddos_protection_plan_id = one([for plan in azurerm_network_ddos_protection_plan.main : plan.id])
  dns_zones               = local.dns_zones
  edge                    = local.edge_kind

  callers = {
    ip_ranges         = var.client_ip_ranges
    availability_test = var.alerts.availability_test
    load_test         = var.load_test != null && each.key == "primary"
    auditor_page      = local.has_auditor_page
    traffic_manager   = length(local.regions) > 1
  }

  egress = {
    nat_gateway = var.network.nat_gateway
    witnesses   = length(var.witnesses) > 0
  }

  subnets = {
    environment_prefix_length = var.network.environment_prefix_length
    runner                    = var.network.runner
    vault_endpoint            = var.custom_domain != null
    gateway_tier              = split("_", var.gateway_sku)[0]
  }
}

module "identity" {
  source = "./modules/identity"

  names   = local.names.identities
  context = local.context
}

module "monitor" {
  source = "./modules/monitor"

  names                 = local.names.monitor
  context               = local.context
  workspace             = { existing_id = var.existing.workspace_id, retention_days = var.logs.retention_days, daily_cap_gb = var.logs.daily_cap_gb }
  private_link_networks = var.logs.private ? local.networks : null
  alerts                = var.alerts
  publishers            = { for name in setsubtract(local.services, ["rotation"]) : name => module.identity.principal_ids[name] }
  resource_group_ids    = { for region, group in azurerm_resource_group.main : region => group.id }
  gateway               = { id = module.gateway.id, url = local.url, is_v2 = strcontains(var.gateway_sku, "V2_") }
  vault_id              = module.vault.id
  jobs                  = { rotation = "rotation", rotation_days = var.keys.rotation_days, sequence = "audit-sequence" }
}

module "registry" {
  source = "./modules/registry"

  names              = local.names.registry
  context            = local.monitored_context
  existing_id        = var.existing.registry_id
  replica_locations  = keys(var.additional_regions)
  networks           = local.networks
  deployer_ip_ranges = var.deployer_ip_ranges
  pullers            = { for name in setsubtract(local.identities, ["gateway", "databases", "edge", "runner"]) : name => module.identity.principal_ids[name] }
  zone_redundant     = var.zone_redundant
}

module "vault" {
  source = "./modules/vault"

  names           = local.names.vault
  context         = local.monitored_context
  networks        = local.networks
  deployer        = { ip_ranges = var.deployer_ip_ranges, object_id = coalesce(var.deployer_object_id, data.azurerm_client_config.current.object_id) }
  identities      = module.identity.principal_ids
  access          = local.access
  secrets         = local.secrets
  secret_values   = merge(var.secret_values, { for service, connection in module.data.connection_strings : "${service}-db-connection" => connection })
  foreign_secrets = local.foreign_secrets
  locked_after    = module.gateway.certificate_role_ids

  vault = {
    existing_id          = var.existing.vault_id
    tenant_id            = data.azurerm_client_config.current.tenant_id
    sku_name             = var.vault_sku
    delete_lock          = var.delete_lock_enabled
    certificate          = var.custom_domain != null
    customer_managed_key = var.customer_managed_key_enabled
  }
}

module "data" {
  source = "./modules/data"

  names                = local.names.data
  context              = local.monitored_context
  failover_locations   = keys(var.additional_regions)
  networks             = local.networks
  collections          = jsondecode(file("${path.root}/collections.json"))
  customer_managed_key = { id = module.vault.customer_managed_key_id, identity_id = var.customer_managed_key_enabled ? module.identity.ids["databases"] : null }
  rotation             = { principal_id = module.identity.principal_ids["rotation"], role = local.names.rotation_role }
  identities           = { for name in ["audit", "patient"] : name => { client_id = module.identity.client_ids[name], principal_id = module.identity.principal_ids[name] } }

  database = {
    kind           = var.database_kind
    max_throughput = var.database_max_throughput
    backup_tier    = var.backup_tier
    vcore          = var.vcore
    zone_redundant = var.zone_redundant
    delete_lock    = var.delete_lock_enabled
  }
}

module "apps" {
  source   = "./modules/apps"
  for_each = local.regions

  names                = local.names.apps[each.key]
  context              = { location = each.value.location, resource_group_name = azurerm_resource_group.main[each.key].name, tags = local.tags, workspace_id = module.monitor.workspace_id }
  subnet_id            = module.network[each.key].subnet_ids["environment"]
  virtual_network_id   = module.network[each.key].virtual_network_id
  resolver_network_ids = var.existing.resolver_network_ids
  registry_server      = module.registry.login_server
  apps                 = local.apps[each.key]
  jobs                 = each.key == "primary" ? local.jobs : {}
  scale                = var.app_scale
  upgrade              = var.upgrade == null ? null : { live = var.upgrade.live[each.key], percentage = var.upgrade.percentage }
  zone_redundant       = var.zone_redundant
}

module "gateway" {
  source = "./modules/gateway"

  names                 = local.names.gateway
  context               = local.monitored_context
  identity              = { id = module.identity.ids["gateway"], client_id = module.identity.client_ids["gateway"] }
  urls                  = { audit = local.audit_urls, auditor = local.auditor_urls, patient = local.patient_urls }
  sku_name              = var.gateway_sku
  client_ip_ranges      = var.client_ip_ranges
  zones                 = local.zones
  public_access_enabled = var.gateway_public_access
  publisher             = var.publisher
  products              = var.products
  entra                 = var.entra
  cors_origins          = var.cors_origins
  product_conditions    = jsondecode(file("${path.root}/policies/products.json"))
  documents             = { for name in ["audit", "patient"] : name => jsondecode(file("${path.root}/../services/${name}/openapi.json")) }
  policies              = { for name in ["global", "product", "patient", "echo", "auditor"] : name => file("${path.root}/policies/${name}.xml") }
  named_values          = local.named_values
  sampling_percentage   = 100 * var.logs.sampling_ratio

  network = {
    subnet_id           = module.network["primary"].subnet_ids["gateway"]
    endpoints_subnet_id = module.network["primary"].subnet_ids["endpoints"]
    virtual_network_id  = module.network["primary"].virtual_network_id
  }

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

  edge = var.edge == null ? null : {
    kind          = var.edge.kind
    front_door_id = module.edge["edge"].front_door_id
    subnet_prefix = lookup(module.network["primary"].subnet_prefixes, "edge", null)
  }

  insights = { id = module.monitor.insights_id, connection_string = module.monitor.connection_string }
}

module "runner" {
  source   = "./modules/runner"
  for_each = var.runner == null ? {} : { runner = var.runner }

  names     = local.names.runner
  context   = local.context
  identity  = { id = module.identity.ids["runner"], client_id = module.identity.client_ids["runner"] }
  subnet_id = module.network["primary"].subnet_ids["runner"]
  vault_uri = module.vault.uri
  runner    = each.value
}

module "edge" {
  source   = "./modules/edge"
  for_each = var.edge == null ? {} : { edge = var.edge }

  names     = local.names.edge
  context   = local.monitored_context
  edge      = each.value
  gateway   = { id = module.gateway.id, host_name = module.gateway.host_name, private_ip_addresses = module.gateway.private_addresses }
  subnet_id = lookup(module.network["primary"].subnet_ids, "edge", null)
  zones     = local.zones

  certificate = each.value.kind != "application_gateway" ? null : {
    identity_id = module.identity.ids["edge"]
    secret_id   = "${module.vault.uri}secrets/${each.value.certificate_name}"
  }

  clients = {
    # The auditor's page of each region and the load test call from the address of the NAT gateway
    ip_ranges = concat(var.client_ip_ranges, [
      for region, network in module.network : "${network.egress_address}/32"
      if local.has_auditor_page || (var.load_test != null && region == "primary")
    ])
    availability_test = var.alerts.availability_test
  }
}
