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
  context = {
    location            = "westeurope"
    resource_group_name = "rg-mock"
    tags                = {}
  }
  names = {
    virtual_network = "vnet-mock"
    nat_gateway     = "ng-mock"
    nat_address     = "pip-mock"
    subnets         = { environment = "snet-environment", gateway = "snet-gateway", endpoints = "snet-endpoints", runner = "snet-runner", edge = "snet-edge" }
    security_groups = { environment = "nsg-environment", gateway = "nsg-gateway", endpoints = "nsg-endpoints", runner = "nsg-runner", edge = "nsg-edge" }
  }
  address_space           = "10.1.0.0/24"
  callers                 = { ip_ranges = ["192.0.2.0/24", "198.51.100.7/32"], availability_test = false, load_test = false, auditor_page = false, traffic_manager = false }
  database_port           = 10255
  ddos_protection_plan_id = null
  dns_zones               = { database = "privatelink.mongo.cosmos.azure.com", registry = "privatelink.azurecr.io", vault = "privatelink.vaultcore.azure.net" }
  egress                  = { nat_gateway = false, witnesses = false }
  subnets                 = { environment_prefix_length = 27, runner = false, vault_endpoint = false }
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
    condition     = toset(keys(azurerm_private_dns_zone_virtual_network_link.main)) == toset(keys(azurerm_private_dns_zone.main)) && alltrue([for link in azurerm_private_dns_zone_virtual_network_link.main : link.virtual_network_id == azurerm_virtual_network.main["network"].id && !link.registration_enabled])
    error_message = "Each zone is linked to the virtual network, without automatic registration."
  }

  assert {
    condition     = length(azurerm_nat_gateway.main) == 0 && length(azurerm_virtual_network.main["network"].ddos_protection_plan) == 0 && output.egress_address == null
    error_message = "NAT gateway and DDoS protection plan are optional."
  }
}

run "no_clients" {
  module {
    source = "./modules/network"
  }

  variables {
    callers = { ip_ranges = [], availability_test = false, load_test = false, auditor_page = false, traffic_manager = false }
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
    callers                 = { ip_ranges = [], availability_test = true, load_test = true, auditor_page = false, traffic_manager = true }
    ddos_protection_plan_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/ddosProtectionPlans/ddos-mock"
    egress                  = { nat_gateway = true, witnesses = false }
    subnets                 = { environment_prefix_length = 27, runner = true, vault_endpoint = true }
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
    condition     = azurerm_virtual_network.main["network"].ddos_protection_plan[0].enable
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

  assert {
    condition = {
      for rule in azurerm_network_security_group.main["runner"].security_rule : "${rule.destination_address_prefix}:${rule.destination_port_range}" => rule.source_address_prefix if rule.direction == "Outbound" && rule.access == "Allow"
    } == { "10.1.0.64/27:443" = "10.1.0.96/27", "Internet:443" = "10.1.0.96/27", "Internet:80" = "10.1.0.96/27" }
    error_message = "The runner reaches the endpoints, and the internet for sources and packages."
  }
}

run "a_larger_environment" {
  module {
    source = "./modules/network"
  }

  variables {
    egress  = { nat_gateway = true, witnesses = false }
    subnets = { environment_prefix_length = 26, runner = true, vault_endpoint = false }
  }

  assert {
    condition     = { for name, subnet in azurerm_subnet.main : name => subnet.address_prefixes[0] } == { environment = "10.1.0.0/26", gateway = "10.1.0.64/27", endpoints = "10.1.0.96/27", runner = "10.1.0.128/27" }
    error_message = "A larger subnet of the environment moves the others behind it."
  }
}

run "an_existing_network" {
  module {
    source = "./modules/network"
  }

  variables {
    existing = {
      virtual_network_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub"
      subnet_ids = {
        environment = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub/subnets/apps"
        gateway     = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub/subnets/apim"
        endpoints   = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub/subnets/endpoints"
        edge        = null
      }
    }
  }

  override_data {
    target = data.azurerm_subnet.existing["gateway"]
    values = { id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub/subnets/apim", address_prefixes = ["10.9.1.0/27"] }
  }

  assert {
    condition     = length(azurerm_virtual_network.main) + length(azurerm_subnet.main) + length(azurerm_network_security_group.main) + length(azurerm_subnet_network_security_group_association.main) == 0
    error_message = "An existing network and its subnets are not changed."
  }

  assert {
    condition     = output.virtual_network_id == var.existing.virtual_network_id && output.subnet_ids["gateway"] == var.existing.subnet_ids.gateway && output.subnet_prefixes["gateway"] == "10.9.1.0/27" && keys(output.subnet_ids) == ["endpoints", "environment", "gateway"]
    error_message = "An existing network is used with its subnets and their ranges."
  }

  assert {
    condition     = data.azurerm_subnet.existing["gateway"].name == "apim" && data.azurerm_subnet.existing["gateway"].virtual_network_name == "vnet-hub" && data.azurerm_subnet.existing["gateway"].resource_group_name == "rg-hub"
    error_message = "A subnet is found by its id."
  }

  assert {
    condition     = contains([for rule in output.security_rules["gateway"] : "${rule.direction} ${rule.access} ${rule.to}:${join(",", rule.ports)} ${join(",", rule.from)}"], "Inbound Allow 10.9.1.0/27:443 192.0.2.0/24,198.51.100.7/32") && contains([for rule in output.security_rules["gateway"] : rule.name], "deny-inbound")
    error_message = "The owner of the subnets gets the rules that they need."
  }

  assert {
    condition     = length(azurerm_private_dns_zone.main) == 3 && alltrue([for link in azurerm_private_dns_zone_virtual_network_link.main : link.virtual_network_id == var.existing.virtual_network_id])
    error_message = "Without zones of a hub, an existing network gets its own."
  }
}

run "an_existing_network_that_is_too_small" {
  command = plan

  module {
    source = "./modules/network"
  }

  variables {
    subnets = { environment_prefix_length = 25, runner = false, vault_endpoint = true }
    existing = {
      virtual_network_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub"
      subnet_ids = {
        environment = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub/subnets/apps"
        gateway     = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub/subnets/apim"
        endpoints   = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub/subnets/endpoints"
      }
    }
  }

  expect_failures = [data.azurerm_subnet.existing["environment"], data.azurerm_subnet.existing["gateway"]]
}

run "zones_of_a_hub" {
  module {
    source = "./modules/network"
  }

  variables {
    existing = { private_dns_zone_ids = { vault = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/privateDnsZones/privatelink.vaultcore.azure.net" } }
  }

  assert {
    condition     = length(azurerm_private_dns_zone.main) == 0 && length(azurerm_private_dns_zone_virtual_network_link.main) == 0 && output.dns_zone_ids == tomap(var.existing.private_dns_zone_ids) && length(azurerm_virtual_network.main) == 1
    error_message = "Zones of a hub are used, and are linked by their owner."
  }
}

run "front_door" {
  module {
    source = "./modules/network"
  }

  variables {
    edge    = "front_door"
    callers = { ip_ranges = ["192.0.2.0/24"], availability_test = true, load_test = true, auditor_page = false, traffic_manager = false }
    egress  = { nat_gateway = true, witnesses = false }
  }

  assert {
    condition     = [for rule in azurerm_network_security_group.main["gateway"].security_rule : rule.source_address_prefix if rule.direction == "Inbound" && rule.destination_port_range == "443"] == ["AzureFrontDoor.Backend"] && !contains(keys(azurerm_subnet.main), "edge")
    error_message = "Behind Front Door, only Front Door can reach the gateway."
  }
}

run "application_gateway" {
  module {
    source = "./modules/network"
  }

  variables {
    edge    = "application_gateway"
    callers = { ip_ranges = ["192.0.2.0/24"], availability_test = true, load_test = true, auditor_page = false, traffic_manager = false }
    egress  = { nat_gateway = true, witnesses = false }
  }

  assert {
    condition     = azurerm_subnet.main["edge"].address_prefixes[0] == "10.1.0.128/27" && [for rule in azurerm_network_security_group.main["gateway"].security_rule : rule.source_address_prefix if rule.direction == "Inbound" && rule.destination_port_range == "443"] == ["10.1.0.128/27"]
    error_message = "Behind an Application Gateway, only its subnet can reach the gateway."
  }

  assert {
    condition = toset([
      for rule in azurerm_network_security_group.main["edge"].security_rule : "${rule.direction} ${rule.access} ${rule.source_address_prefix} ${rule.destination_address_prefix}:${rule.destination_port_range}"
      ]) == toset([
      "Inbound Allow 192.0.2.0/24 10.1.0.128/27:443",
      "Inbound Allow ApplicationInsightsAvailability 10.1.0.128/27:443",
      "Inbound Allow 203.0.113.7/32 10.1.0.128/27:443",
      "Inbound Allow GatewayManager *:65200-65535",
      "Inbound Allow AzureLoadBalancer *:*",
      "Inbound Deny * *:*",
    ])
    error_message = "The subnet of the Application Gateway accepts the clients and its control plane only."
  }

  assert {
    condition     = length([for rule in azurerm_network_security_group.main["endpoints"].security_rule : rule if rule.source_address_prefix == "10.1.0.128/27" && rule.destination_port_range == "443" && rule.access == "Allow"]) == 1
    error_message = "The Application Gateway reads its certificate in the vault."
  }
}

run "gateway_standard_v2" {
  command = plan

  module {
    source = "./modules/network"
  }

  variables {
    subnets = { environment_prefix_length = 27, gateway_tier = "StandardV2", runner = false, vault_endpoint = false }
  }

  assert {
    condition     = azurerm_subnet.main["gateway"].delegation[0].service_delegation[0].name == "Microsoft.Web/serverFarms"
    error_message = "The subnet is delegated for outbound integration."
  }

  assert {
    condition     = [for rule in azurerm_network_security_group.main["gateway"].security_rule : rule.name if rule.direction == "Inbound"] == ["deny-inbound"]
    error_message = "Nothing reaches the subnet: the gateway is outside of it."
  }

  assert {
    condition     = toset([for rule in azurerm_network_security_group.main["gateway"].security_rule : rule.name if rule.direction == "Outbound"]) == toset(["deny-outbound", "to-certificate-lists", "to-endpoints", "to-entra-id", "to-environment", "to-key-vault", "to-monitor", "to-storage"])
    error_message = "The gateway reaches the services and what the platform needs."
  }
}

run "gateway_premium_v2" {
  command = plan

  module {
    source = "./modules/network"
  }

  variables {
    subnets = { environment_prefix_length = 27, gateway_tier = "PremiumV2", runner = false, vault_endpoint = false }
  }

  assert {
    condition     = azurerm_subnet.main["gateway"].delegation[0].service_delegation[0].name == "Microsoft.Web/hostingEnvironments"
    error_message = "The subnet is delegated for injection."
  }

  assert {
    condition     = toset([for rule in azurerm_network_security_group.main["gateway"].security_rule : "${rule.name} ${rule.destination_port_range}" if rule.direction == "Inbound"]) == toset(["clients 443", "deny-inbound *", "probe 80"])
    error_message = "Clients and the probes of the platform reach the gateway."
  }
}

run "the_page_of_auditors" {
  module {
    source = "./modules/network"
  }

  variables {
    callers = { ip_ranges = [], availability_test = false, load_test = false, auditor_page = true, traffic_manager = false }
    egress  = { nat_gateway = true, witnesses = false }
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
