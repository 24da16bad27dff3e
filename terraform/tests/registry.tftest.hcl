# The registry: private, with pull access for identities.

mock_provider "azurerm" {
  source = "./tests/mocks"
}

variables {
  context = {
    location            = "westeurope"
    resource_group_name = "rg-mock"
    tags                = {}
    workspace_id        = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.OperationalInsights/workspaces/log-mock"
  }
  names              = { registry = "crmock", endpoint = "pe-mock", diagnostic_setting = "log-analytics" }
  deployer_ip_ranges = []
  networks = {
    primary = {
      location            = "westeurope"
      resource_group_name = "rg-mock"
      subnet_ids          = { endpoints = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/virtualNetworks/vnet-mock/subnets/snet-endpoints" }
      dns_zone_ids        = { registry = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/privateDnsZones/privatelink.azurecr.io" }
    }
  }
  pullers           = { patient = "00000000-0000-0000-0000-000000000a01" }
  replica_locations = []
  zone_redundant    = false
}

run "closed_by_default" {
  module {
    source = "./modules/registry"
  }

  assert {
    condition     = azurerm_container_registry.main["registry"].sku == "Premium" && !azurerm_container_registry.main["registry"].public_network_access_enabled && azurerm_container_registry.main["registry"].network_rule_bypass_option == "None"
    error_message = "The registry has no public access."
  }

  assert {
    condition     = !azurerm_container_registry.main["registry"].admin_enabled && !azurerm_container_registry.main["registry"].anonymous_pull_enabled && !azurerm_container_registry.main["registry"].export_policy_enabled
    error_message = "The registry has no admin password, no anonymous pull and no export."
  }

  assert {
    condition     = azurerm_container_registry.main["registry"].network_rule_set[0].default_action == "Deny" && length(azurerm_container_registry.main["registry"].network_rule_set[0].ip_rule) == 0
    error_message = "The firewall of the registry has no exceptions."
  }

  assert {
    condition     = module.endpoints.endpoints["primary"].private_service_connection[0].private_connection_resource_id == azurerm_container_registry.main["registry"].id && module.endpoints.endpoints["primary"].private_service_connection[0].subresource_names[0] == "registry" && endswith(module.endpoints.endpoints["primary"].private_dns_zone_group[0].private_dns_zone_ids[0], "/privatelink.azurecr.io")
    error_message = "The name of the registry resolves to its private endpoint."
  }

  assert {
    condition     = azurerm_role_assignment.pull["patient"].role_definition_name == "AcrPull" && azurerm_role_assignment.pull["patient"].scope == azurerm_container_registry.main["registry"].id && azurerm_role_assignment.pull["patient"].principal_id == "00000000-0000-0000-0000-000000000a01"
    error_message = "An app pulls with its identity and cannot push."
  }

  assert {
    condition     = toset([for log in azurerm_monitor_diagnostic_setting.main["registry"].enabled_log : log.category]) == toset(["ContainerRegistryLoginEvents", "ContainerRegistryRepositoryEvents"])
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
    condition     = azurerm_container_registry.main["registry"].public_network_access_enabled && azurerm_container_registry.main["registry"].network_rule_set[0].default_action == "Deny" && [for rule in azurerm_container_registry.main["registry"].network_rule_set[0].ip_rule : "${rule.action} ${rule.ip_range}"] == ["Allow 192.0.2.1/32"]
    error_message = "If the registry is open to the deployer, it is open to nobody else."
  }

  assert {
    condition     = azurerm_container_registry.main["registry"].georeplications[0].location == "northeurope" && azurerm_container_registry.main["registry"].georeplications[0].zone_redundancy_enabled && azurerm_container_registry.main["registry"].zone_redundancy_enabled
    error_message = "Each region has a copy, spread over its availability zones."
  }
}

run "an_existing_registry" {
  module {
    source = "./modules/registry"
  }

  variables {
    existing_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.ContainerRegistry/registries/crhub"
  }

  assert {
    condition     = length(azurerm_container_registry.main) == 0 && length(azurerm_monitor_diagnostic_setting.main) == 0 && data.azurerm_container_registry.existing[var.existing_id].name == "crhub" && data.azurerm_container_registry.existing[var.existing_id].resource_group_name == "rg-hub"
    error_message = "An existing registry is found by its id and not changed."
  }

  assert {
    condition     = output.login_server == "crhub.azurecr.io" && output.name == "crhub" && azurerm_role_assignment.pull["patient"].scope == var.existing_id && module.endpoints.endpoints["primary"].private_service_connection[0].private_connection_resource_id == var.existing_id
    error_message = "Apps pull from an existing registry, by a private endpoint."
  }
}

run "an_existing_registry_that_is_open" {
  command = plan

  module {
    source = "./modules/registry"
  }

  variables {
    existing_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.ContainerRegistry/registries/crhub"
  }

  override_data {
    target = data.azurerm_container_registry.existing["/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.ContainerRegistry/registries/crhub"]
    values = { sku = "Premium", admin_enabled = true }
  }

  expect_failures = [data.azurerm_container_registry.existing["/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.ContainerRegistry/registries/crhub"]]
}
