# The images, pulled by digest with the identity of the app that runs them.

resource "azurerm_container_registry" "main" {
  # checkov:skip=CKV_AZURE_139: closed except while deployer_ip_ranges contains the address of a deployer
  # checkov:skip=CKV_AZURE_164: azurerm 5 has no content trust; images are signed with cosign and verified before they are copied here
  # checkov:skip=CKV_AZURE_166: images are scanned and their provenance verified before they are copied here; quarantine is a preview
  # checkov:skip=CKV_AZURE_233: depends on zone_redundant, which environments/prod.tfvars sets

  name                = var.names.registry
  location            = var.location
  resource_group_name = var.resource_group_name
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
  tags                          = var.tags

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
      tags                            = var.tags
    }
  }
}

resource "azurerm_private_endpoint" "main" {
  for_each = var.networks

  name                = "${var.names.endpoint}-${each.key}"
  location            = each.value.location
  resource_group_name = each.value.resource_group_name
  subnet_id           = each.value.subnet_ids["endpoints"]
  tags                = var.tags

  private_service_connection {
    name                           = "registry"
    private_connection_resource_id = azurerm_container_registry.main.id
    subresource_names              = ["registry"]
    is_manual_connection           = false
  }

  private_dns_zone_group {
    name                 = "registry"
    private_dns_zone_ids = [each.value.dns_zone_ids["registry"]]
  }
}

resource "azurerm_role_assignment" "pull" {
  for_each = var.pullers

  scope                = azurerm_container_registry.main.id
  role_definition_name = "AcrPull"
  principal_id         = each.value
  principal_type       = "ServicePrincipal"
  description          = "${each.key}: its image"
}

resource "azurerm_monitor_diagnostic_setting" "main" {
  name                       = var.names.diagnostic_setting
  target_resource_id         = azurerm_container_registry.main.id
  log_analytics_workspace_id = var.log_analytics_workspace_id

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
