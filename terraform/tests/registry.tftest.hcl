# The registry: private, with pull access for identities.

mock_provider "azurerm" {
  source = "./tests/mocks"
}

variables {
  names                      = { registry = "crmock", endpoint = "pe-mock", diagnostic_setting = "log-analytics" }
  deployer_ip_ranges         = []
  location                   = "westeurope"
  log_analytics_workspace_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.OperationalInsights/workspaces/log-mock"
  networks = {
    primary = {
      location            = "westeurope"
      resource_group_name = "rg-mock"
      subnet_ids          = { endpoints = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/virtualNetworks/vnet-mock/subnets/snet-endpoints" }
      dns_zone_ids        = { registry = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/privateDnsZones/privatelink.azurecr.io" }
    }
  }
  pullers             = { patient = "00000000-0000-0000-0000-000000000a01" }
  replica_locations   = []
  resource_group_name = "rg-mock"
  tags                = {}
  zone_redundant      = false
}

run "closed_by_default" {
  module {
    source = "./modules/registry"
  }

  assert {
    condition     = azurerm_container_registry.main.sku == "Premium" && !azurerm_container_registry.main.public_network_access_enabled && azurerm_container_registry.main.network_rule_bypass_option == "None"
    error_message = "The registry has no public access."
  }

  assert {
    condition     = !azurerm_container_registry.main.admin_enabled && !azurerm_container_registry.main.anonymous_pull_enabled && !azurerm_container_registry.main.export_policy_enabled
    error_message = "The registry has no admin password, no anonymous pull and no export."
  }

  assert {
    condition     = azurerm_container_registry.main.network_rule_set[0].default_action == "Deny" && length(azurerm_container_registry.main.network_rule_set[0].ip_rule) == 0
    error_message = "The firewall of the registry has no exceptions."
  }

  assert {
    condition     = azurerm_private_endpoint.main["primary"].private_service_connection[0].private_connection_resource_id == azurerm_container_registry.main.id && azurerm_private_endpoint.main["primary"].private_service_connection[0].subresource_names[0] == "registry" && endswith(azurerm_private_endpoint.main["primary"].private_dns_zone_group[0].private_dns_zone_ids[0], "/privatelink.azurecr.io")
    error_message = "The name of the registry resolves to its private endpoint."
  }

  assert {
    condition     = azurerm_role_assignment.pull["patient"].role_definition_name == "AcrPull" && azurerm_role_assignment.pull["patient"].scope == azurerm_container_registry.main.id && azurerm_role_assignment.pull["patient"].principal_id == "00000000-0000-0000-0000-000000000a01"
    error_message = "An app pulls with its identity and cannot push."
  }

  assert {
    condition     = toset([for log in azurerm_monitor_diagnostic_setting.main.enabled_log : log.category]) == toset(["ContainerRegistryLoginEvents", "ContainerRegistryRepositoryEvents"])
    error_message = "Logins and changes of images go to Log Analytics."
  }
}

run "options" {
  module {
    source = "./modules/registry"
  }

  variables {
    deployer_ip_ranges = ["192.0.2.1/32"]
    replica_locations  = ["northeurope"]
    zone_redundant     = true
  }

  assert {
    condition     = azurerm_container_registry.main.public_network_access_enabled && azurerm_container_registry.main.network_rule_set[0].default_action == "Deny" && [for rule in azurerm_container_registry.main.network_rule_set[0].ip_rule : "${rule.action} ${rule.ip_range}"] == ["Allow 192.0.2.1/32"]
    error_message = "If the registry is open to the deployer, it is open to nobody else."
  }

  assert {
    condition     = azurerm_container_registry.main.georeplications[0].location == "northeurope" && azurerm_container_registry.main.georeplications[0].zone_redundancy_enabled && azurerm_container_registry.main.zone_redundancy_enabled
    error_message = "Each region has a copy, spread over its availability zones."
  }
}
