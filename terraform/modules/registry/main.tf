# The images, pulled by digest with the identity of the app that runs them.

locals {
  registry = concat(
    [for registry in azurerm_container_registry.main : { id = registry.id, name = registry.name, server = registry.login_server }],
    [for registry in data.azurerm_container_registry.existing : { id = registry.id, name = registry.name, server = registry.login_server }],
  )[0]
}

data "azurerm_container_registry" "existing" {
  for_each = toset(var.existing_id == null ? [] : [var.existing_id])

  name                = split("/", each.key)[8]
  resource_group_name = split("/", each.key)[4]

  lifecycle {
    postcondition {
      condition     = self.sku == "Premium" && !self.admin_enabled
      error_message = "The existing registry needs the SKU Premium, for private endpoints, and no administrator."
    }
  }
}

resource "azurerm_container_registry" "main" {
  # checkov:skip=CKV_AZURE_139: closed except while deployer_ip_ranges contains the address of a deployer
  # checkov:skip=CKV_AZURE_164: azurerm 5 has no content trust; images are signed with cosign and verified before they are copied here
  # checkov:skip=CKV_AZURE_166: images are scanned and their provenance verified before they are copied here; quarantine is a preview
  # checkov:skip=CKV_AZURE_233: depends on zone_redundant, which environments/prod.tfvars sets

  for_each = toset(var.existing_id == null ? ["registry"] : [])

  name                = var.names.registry
  location            = var.context.location
  resource_group_name = var.context.resource_group_name
  # The only SKU with private endpoints
  sku                           = "Premium"
  admin_enabled                 = false
  anonymous_pull_enabled        = false
  data_endpoint_enabled         = true
  export_policy_enabled         = length(var.deployer_ip_ranges) > 0
  network_rule_bypass_option    = "None"
  public_network_access_enabled = length(var.deployer_ip_ranges) > 0
  retention_policy_in_days      = 30
  zone_redundancy_enabled       = var.zone_redundant
  tags                          = var.context.tags

  network_rule_set = [{
    default_action = "Deny"
    ip_rule        = [for range in var.deployer_ip_ranges : { action = "Allow", ip_range = range }]
  }]

  dynamic "georeplications" {
    for_each = var.replica_locations

    content {
      location                        = georeplications.value
      global_endpoint_routing_enabled = true
      zone_redundancy_enabled         = var.zone_redundant
      tags                            = var.context.tags
    }
  }
}

moved {
  from = azurerm_container_registry.main
  to   = azurerm_container_registry.main["registry"]
}

module "endpoints" {
  source = "../endpoints"

  networks = var.networks
  tags     = var.context.tags

  endpoints = {
    for region in keys(var.networks) : region => {
      name        = "${var.names.endpoint}-${region}"
      region      = region
      service     = "registry"
      subresource = "registry"
      resource_id = local.registry.id
      zones       = ["registry"]
    }
  }
}

moved {
  from = azurerm_private_endpoint.main
  to   = module.endpoints.azurerm_private_endpoint.main
}

resource "azurerm_role_assignment" "pull" {
  for_each = var.pullers

  scope                = local.registry.id
  role_definition_name = "AcrPull"
  principal_id         = each.value
  principal_type       = "ServicePrincipal"
  description          = "${each.key}: its image"
}

# The owner of an existing registry decides on its diagnostics
resource "azurerm_monitor_diagnostic_setting" "main" {
  for_each = azurerm_container_registry.main

  name                       = var.names.diagnostic_setting
  target_resource_id         = each.value.id
  log_analytics_workspace_id = var.context.workspace_id

  enabled_log {
    category = "ContainerRegistryLoginEvents"
  }

  enabled_log {
    category = "ContainerRegistryRepositoryEvents"
  }

  enabled_metric {
    category = "AllMetrics"
  }
}

moved {
  from = azurerm_monitor_diagnostic_setting.main
  to   = azurerm_monitor_diagnostic_setting.main["registry"]
}
