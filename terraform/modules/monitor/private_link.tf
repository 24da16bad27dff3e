# Telemetry over a private endpoint, instead of the public addresses of Azure Monitor. Diagnostic settings do not use it:
# they are inside Azure. Queries stay possible from everywhere, with a role.
# https://learn.microsoft.com/azure/azure-monitor/fundamentals/private-link-security

locals {
  is_private = var.private_link_networks != null
}

resource "azurerm_monitor_private_link_scope" "main" {
  for_each = toset(local.is_private ? ["scope"] : [])

  name                  = var.names.private_link_scope
  resource_group_name   = var.context.resource_group_name
  ingestion_access_mode = "PrivateOnly"
  query_access_mode     = "Open"
  tags                  = var.context.tags
}

resource "azurerm_monitor_private_link_scoped_service" "main" {
  for_each = local.is_private ? { workspace = local.workspace.id, insights = azurerm_application_insights.main.id } : {}

  name                = each.key
  resource_group_name = var.context.resource_group_name
  scope_name          = azurerm_monitor_private_link_scope.main["scope"].name
  linked_resource_id  = each.value
}

module "endpoints" {
  source = "../endpoints"

  networks = coalesce(var.private_link_networks, {})
  tags     = var.context.tags

  endpoints = {
    for region in keys(coalesce(var.private_link_networks, {})) : region => {
      name        = "${var.names.endpoint}-${region}"
      region      = region
      service     = "monitor"
      subresource = "azuremonitor"
      resource_id = azurerm_monitor_private_link_scope.main["scope"].id
      zones       = ["monitor", "monitor-agents", "monitor-data", "monitor-logs", "monitor-storage"]
    }
  }

  # The endpoint gets the names of what is in the scope
  depends_on = [azurerm_monitor_private_link_scoped_service.main]
}
