# Private endpoints.

mock_provider "azurerm" {
  source = "./tests/mocks"
}

variables {
  endpoints = {
    primary = {
      name        = "pe-mock-primary"
      region      = "primary"
      service     = "vault"
      subresource = "vault"
      resource_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.KeyVault/vaults/kv-mock"
      zones       = ["vault"]
    }
  }
  networks = {
    primary = {
      location            = "westeurope"
      resource_group_name = "rg-mock"
      subnet_ids          = { endpoints = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/virtualNetworks/vnet-mock/subnets/snet-endpoints" }
      dns_zone_ids        = { vault = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/privateDnsZones/privatelink.vaultcore.azure.net" }
    }
  }
  tags = { system = "mock" }
}

run "with_a_zone" {
  module {
    source = "./modules/endpoints"
  }

  assert {
    condition     = azurerm_private_endpoint.main["primary"].private_service_connection[0].private_connection_resource_id == var.endpoints.primary.resource_id && azurerm_private_endpoint.main["primary"].private_service_connection[0].subresource_names[0] == "vault" && !azurerm_private_endpoint.main["primary"].private_service_connection[0].is_manual_connection
    error_message = "An endpoint connects to its resource."
  }

  assert {
    condition     = azurerm_private_endpoint.main["primary"].subnet_id == var.networks.primary.subnet_ids.endpoints && azurerm_private_endpoint.main["primary"].private_dns_zone_group[0].private_dns_zone_ids[0] == var.networks.primary.dns_zone_ids.vault && length(azurerm_private_endpoint.registered_elsewhere) == 0
    error_message = "It has an address in the subnet of endpoints, and its name is in the private zone."
  }
}

run "without_a_zone" {
  module {
    source = "./modules/endpoints"
  }

  variables {
    networks = {
      primary = {
        location            = "westeurope"
        resource_group_name = "rg-mock"
        subnet_ids          = { endpoints = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/virtualNetworks/vnet-mock/subnets/snet-endpoints" }
        dns_zone_ids        = {}
      }
    }
  }

  assert {
    condition     = length(azurerm_private_endpoint.main) == 0 && azurerm_private_endpoint.registered_elsewhere["primary"].private_service_connection[0].private_connection_resource_id == var.endpoints.primary.resource_id && azurerm_private_endpoint.registered_elsewhere["primary"].private_service_connection[0].subresource_names[0] == "vault"
    error_message = "Where a policy of the hub registers endpoints, there is one without records."
  }

  assert {
    condition     = azurerm_private_endpoint.registered_elsewhere["primary"].subnet_id == var.networks.primary.subnet_ids.endpoints && length(azurerm_private_endpoint.registered_elsewhere["primary"].private_dns_zone_group) == 0 && keys(output.endpoints) == ["primary"]
    error_message = "It has an address in the subnet of endpoints as well."
  }
}
