# Network access.

mock_provider "azurerm" {
  source = "./tests/mocks"

  override_resource {
    target = azurerm_subnet.main["environment"]
    values = { id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/virtualNetworks/vnet-mock/subnets/snet-environment" }
  }

  override_resource {
    target = azurerm_subnet.main["gateway"]
    values = { id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/virtualNetworks/vnet-mock/subnets/snet-gateway" }
  }

  override_resource {
    target = azurerm_network_security_group.main["environment"]
    values = { id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/networkSecurityGroups/nsg-environment" }
  }

  override_resource {
    target = azurerm_network_security_group.main["gateway"]
    values = { id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/networkSecurityGroups/nsg-gateway" }
  }
}

variables {
  names = {
    virtual_network = "vnet-mock"
    nat_gateway     = "ng-mock"
    nat_address     = "pip-mock"
    subnets         = { environment = "snet-environment", gateway = "snet-gateway", endpoints = "snet-endpoints", runner = "snet-runner" }
    security_groups = { environment = "nsg-environment", gateway = "nsg-gateway", endpoints = "nsg-endpoints", runner = "nsg-runner" }
  }
  address_space             = "10.1.0.0/24"
  auditor_page_enabled      = false
  availability_test_enabled = false
  client_ip_ranges          = ["192.0.2.0/24", "198.51.100.7/32"]
  database_port             = 10255
  database_zone             = "privatelink.mongo.cosmos.azure.com"
  ddos_protection_plan_id   = null
  load_test_enabled         = false
  witnesses_enabled         = false
  location                  = "westeurope"
  multiple_regions          = false
  nat_gateway_enabled       = false
  resource_group_name       = "rg-mock"
  runner_enabled            = false
  vault_endpoint_enabled    = false
  environment_prefix_length = 27
  tags                      = {}
}

run "closed_by_default" {
  module {
    source = "./modules/network"
  }

  assert {
    condition     = { for name, subnet in azurerm_subnet.main : name => subnet.address_prefixes[0] } == { environment = "10.1.0.0/27", gateway = "10.1.0.32/27", endpoints = "10.1.0.64/27" }
    error_message = "Environment, gateway and endpoints each have a /27."
  }

  assert {
    condition     = azurerm_subnet.main["environment"].delegation[0].service_delegation[0].name == "Microsoft.App/environments" && length(azurerm_subnet.main["gateway"].delegation) == 0 && length(azurerm_subnet.main["endpoints"].delegation) == 0
    error_message = "Only the subnet of the environment is delegated, to Container Apps."
  }

  assert {
    condition     = alltrue([for subnet in azurerm_subnet.main : subnet.private_endpoint_network_policies == "Enabled"])
    error_message = "The rules of the subnet apply to private endpoints."
  }

  assert {
    condition = alltrue([
      for name in ["environment", "gateway"] :
      azurerm_subnet_network_security_group_association.main[name].subnet_id == azurerm_subnet.main[name].id &&
      azurerm_subnet_network_security_group_association.main[name].network_security_group_id == azurerm_network_security_group.main[name].id
    ]) && toset(keys(azurerm_subnet_network_security_group_association.main)) == toset(keys(azurerm_subnet.main))
    error_message = "Every subnet has its own rules."
  }

  assert {
    condition = alltrue([
      for group in azurerm_network_security_group.main : toset([
        for rule in group.security_rule : "${rule.direction} ${rule.protocol} ${rule.source_address_prefix}:${rule.source_port_range} ${rule.destination_address_prefix}:${rule.destination_port_range}" if rule.priority == 4096 && rule.access == "Deny"
      ]) == toset(["Inbound * *:* *:*", "Outbound * *:* *:*"])
    ])
    error_message = "Every list ends with a deny rule, inbound and outbound."
  }

  assert {
    condition     = alltrue(flatten([for group in azurerm_network_security_group.main : [for rule in group.security_rule : rule.priority == 4096 || rule.access == "Allow"]]))
    error_message = "All rules before the last one allow traffic."
  }

  assert {
    condition     = alltrue([for group in azurerm_network_security_group.main : length(distinct([for rule in group.security_rule : "${rule.direction} ${rule.priority}"])) == length(group.security_rule)])
    error_message = "No two rules of a direction have the same priority."
  }

  assert {
    condition = toset([
      for rule in azurerm_network_security_group.main["gateway"].security_rule :
      "${rule.direction} ${rule.protocol} ${coalesce(rule.source_address_prefix, try(join(",", rule.source_address_prefixes), ""))} ${rule.destination_address_prefix}:${coalesce(rule.destination_port_range, try(join(",", rule.destination_port_ranges), ""))}" if rule.access == "Allow"
      ]) == toset([
      "Inbound Tcp 192.0.2.0/24,198.51.100.7/32 10.1.0.32/27:443",
      "Inbound Tcp ApiManagement 10.1.0.32/27:3443",
      "Inbound Tcp AzureLoadBalancer 10.1.0.32/27:6390",
      "Inbound Tcp 10.1.0.32/27 10.1.0.32/27:6381-6383",
      "Inbound Udp 10.1.0.32/27 10.1.0.32/27:4290",
      "Outbound Tcp 10.1.0.32/27 10.1.0.0/27:31443,443",
      "Outbound Tcp 10.1.0.32/27 10.1.0.64/27:443",
      "Outbound Tcp 10.1.0.32/27 10.1.0.32/27:6381-6383",
      "Outbound Udp 10.1.0.32/27 10.1.0.32/27:4290",
      "Outbound Tcp 10.1.0.32/27 AzureActiveDirectory:443",
      "Outbound Tcp 10.1.0.32/27 Storage:443",
      "Outbound Tcp 10.1.0.32/27 Sql:1433",
      "Outbound Tcp 10.1.0.32/27 AzureKeyVault:443",
      "Outbound Tcp 10.1.0.32/27 AzureMonitor:1886,443",
      "Outbound Tcp 10.1.0.32/27 Internet:80",
    ])
    error_message = "Port 443 of the gateway is open to the ranges of the clients only, and port 3443 to the control plane."
  }

  assert {
    condition = toset([
      for rule in azurerm_network_security_group.main["environment"].security_rule :
      "${rule.direction} ${rule.protocol} ${coalesce(rule.source_address_prefix, try(join(",", rule.source_address_prefixes), ""))} ${rule.destination_address_prefix}:${coalesce(rule.destination_port_range, try(join(",", rule.destination_port_ranges), ""))}" if rule.access == "Allow"
      ]) == toset([
      "Inbound Tcp 10.1.0.32/27 10.1.0.0/27:31443,443",
      "Inbound Tcp AzureLoadBalancer 10.1.0.0/27:30000-32767",
      "Inbound * 10.1.0.0/27 10.1.0.0/27:*",
      "Outbound * 10.1.0.0/27 10.1.0.0/27:*",
      "Outbound Tcp 10.1.0.0/27 10.1.0.64/27:10255,443",
      "Outbound Tcp 10.1.0.0/27 AzureActiveDirectory:443",
      "Outbound Tcp 10.1.0.0/27 AzureMonitor:443",
      "Outbound Tcp 10.1.0.0/27 AzureResourceManager:443",
      "Outbound Tcp 10.1.0.0/27 MicrosoftContainerRegistry:443",
      "Outbound Tcp 10.1.0.0/27 AzureFrontDoor.FirstParty:443",
    ])
    error_message = "Ports 443 and 31443 of the environment are open to the subnet of API Management only."
  }

  assert {
    condition = toset([
      for rule in azurerm_network_security_group.main["endpoints"].security_rule :
      "${rule.direction} ${rule.protocol} ${coalesce(rule.source_address_prefix, try(join(",", rule.source_address_prefixes), ""))} ${rule.destination_address_prefix}:${coalesce(rule.destination_port_range, try(join(",", rule.destination_port_ranges), ""))}" if rule.access == "Allow"
      ]) == toset([
      "Inbound Tcp 10.1.0.0/27 10.1.0.64/27:10255,443",
      "Inbound Tcp 10.1.0.32/27 10.1.0.64/27:443",
    ])
    error_message = "The gateway reaches private endpoints on port 443 only, and they have no outbound traffic."
  }

  assert {
    condition     = { for key, zone in azurerm_private_dns_zone.main : key => zone.name } == { database = "privatelink.mongo.cosmos.azure.com", registry = "privatelink.azurecr.io", vault = "privatelink.vaultcore.azure.net" }
    error_message = "Databases, registry and vault have private DNS zones."
  }

  assert {
    condition     = toset(keys(azurerm_private_dns_zone_virtual_network_link.main)) == toset(keys(azurerm_private_dns_zone.main)) && alltrue([for link in azurerm_private_dns_zone_virtual_network_link.main : link.virtual_network_id == azurerm_virtual_network.main.id && !link.registration_enabled])
    error_message = "Each zone is linked to the virtual network, without automatic registration."
  }

  assert {
    condition     = length(azurerm_nat_gateway.main) == 0 && length(azurerm_virtual_network.main.ddos_protection_plan) == 0 && output.egress_address == null
    error_message = "NAT gateway and DDoS protection plan are optional."
  }
}

run "no_clients" {
  module {
    source = "./modules/network"
  }

  variables {
    client_ip_ranges = []
  }

  assert {
    condition     = length([for rule in azurerm_network_security_group.main["gateway"].security_rule : rule if rule.direction == "Inbound" && rule.destination_port_range == "443"]) == 0
    error_message = "Without client ranges, the gateway is unreachable."
  }
}

run "options" {
  module {
    source = "./modules/network"
  }

  variables {
    availability_test_enabled = true
    client_ip_ranges          = []
    ddos_protection_plan_id   = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/ddosProtectionPlans/ddos-mock"
    load_test_enabled         = true
    multiple_regions          = true
    nat_gateway_enabled       = true
    runner_enabled            = true
    vault_endpoint_enabled    = true
  }

  assert {
    condition = toset([
      for rule in azurerm_network_security_group.main["gateway"].security_rule : rule.source_address_prefix if rule.direction == "Inbound" && rule.destination_port_range == "443"
    ]) == toset(["ApplicationInsightsAvailability", "AzureTrafficManager", "203.0.113.7/32"])
    error_message = "Availability test, Traffic Manager and load test can reach the gateway if they are enabled."
  }

  assert {
    condition     = { for name, subnet in azurerm_subnet.main : name => [for endpoint in subnet.service_endpoint : endpoint.service] if length(subnet.service_endpoint) > 0 } == { gateway = ["Microsoft.KeyVault"], runner = ["Microsoft.Storage"] }
    error_message = "API Management reads its certificate through the firewall of the vault, and a runner the state through that of the storage account."
  }

  assert {
    condition     = azurerm_virtual_network.main.ddos_protection_plan[0].enable
    error_message = "The DDoS protection plan covers the virtual network."
  }

  assert {
    condition     = azurerm_subnet_nat_gateway_association.environment["nat"].subnet_id == azurerm_subnet.main["environment"].id && output.egress_address == "203.0.113.7"
    error_message = "Outbound traffic of the environment has the address of the NAT gateway."
  }

  assert {
    condition     = azurerm_subnet_nat_gateway_association.runner["nat"].subnet_id == azurerm_subnet.main["runner"].id
    error_message = "A runner has a way out."
  }

  assert {
    condition     = azurerm_subnet.main["runner"].address_prefixes[0] == "10.1.0.96/27" && contains([for rule in azurerm_network_security_group.main["endpoints"].security_rule : rule.source_address_prefix], "10.1.0.96/27")
    error_message = "A runner can reach the vault and the registry."
  }

  assert {
    condition     = length([for rule in azurerm_network_security_group.main["runner"].security_rule : rule if rule.direction == "Inbound" && rule.access == "Allow"]) == 0
    error_message = "The runner is unreachable."
  }
}

run "the_page_of_auditors" {
  module {
    source = "./modules/network"
  }

  variables {
    auditor_page_enabled = true
    client_ip_ranges     = []
    nat_gateway_enabled  = true
  }

  assert {
    condition = [
      for rule in azurerm_network_security_group.main["gateway"].security_rule : rule.source_address_prefix if rule.direction == "Inbound" && rule.destination_port_range == "443"
    ] == ["203.0.113.7/32"]
    error_message = "The gateway accepts the address of the NAT gateway, from which the page calls it."
  }

  assert {
    condition = length([
      for rule in azurerm_network_security_group.main["environment"].security_rule : rule if rule.direction == "Outbound" && rule.destination_address_prefix == "Internet" && rule.destination_port_range == "443"
    ]) == 1
    error_message = "The page can call the gateway."
  }
}

run "a_larger_environment" {
  module {
    source = "./modules/network"
  }

  variables {
    environment_prefix_length = 26
    nat_gateway_enabled       = true
    runner_enabled            = true
  }

  assert {
    condition     = { for name, subnet in azurerm_subnet.main : name => subnet.address_prefixes[0] } == { environment = "10.1.0.0/26", gateway = "10.1.0.64/27", endpoints = "10.1.0.96/27", runner = "10.1.0.128/27" }
    error_message = "A larger subnet of the environment moves the others behind it."
  }
}
