# The network of one region. Every list of security rules ends with a deny rule.

locals {
  prefix_length = tonumber(split("/", var.address_space)[1])

  # Addresses depend on the order: append, do not insert
  subnet_order = ["environment", "gateway", "endpoints", "runner"]

  # The first subnet has as many /27 as it needs, each of the others has one
  first_27 = pow(2, 27 - var.environment_prefix_length) - 1

  prefixes = {
    for index, name in local.subnet_order : name => (
      name == "environment"
      ? cidrsubnet(var.address_space, var.environment_prefix_length - local.prefix_length, 0)
      : cidrsubnet(var.address_space, 27 - local.prefix_length, index + local.first_27)
    )
    if name != "runner" || var.runner_enabled
  }

  # Classic tiers of API Management need no delegation
  delegations = merge({ environment = "Microsoft.App/environments" }, {
    for tier, service in { StandardV2 = "Microsoft.Web/serverFarms", PremiumV2 = "Microsoft.Web/hostingEnvironments" } : "gateway" => service
    if tier == var.gateway_tier
  })

  private_dns_zones = {
    database = var.database_zone
    registry = "privatelink.azurecr.io"
    vault    = "privatelink.vaultcore.azure.net"
  }
}

resource "azurerm_virtual_network" "main" {
  name                = var.names.virtual_network
  location            = var.location
  resource_group_name = var.resource_group_name
  address_space       = [var.address_space]
  tags                = var.tags

  dynamic "ddos_protection_plan" {
    for_each = var.ddos_protection_plan_id == null ? [] : [var.ddos_protection_plan_id]

    content {
      id     = ddos_protection_plan.value
      enable = true
    }
  }
}

resource "azurerm_subnet" "main" {
  for_each = local.prefixes

  name                 = var.names.subnets[each.key]
  resource_group_name  = var.resource_group_name
  virtual_network_name = azurerm_virtual_network.main.name
  address_prefixes     = [each.value]
  # The security rules below also apply to private endpoints
  private_endpoint_network_policies = "Enabled"

  # API Management reads the certificate of a custom domain through the firewall of the vault, and a runner reads the
  # state through that of its storage account
  dynamic "service_endpoint" {
    for_each = concat(
      each.key == "gateway" && var.vault_endpoint_enabled ? ["Microsoft.KeyVault"] : [],
      each.key == "runner" ? ["Microsoft.Storage"] : [],
    )

    content {
      service = service_endpoint.value
    }
  }

  dynamic "delegation" {
    for_each = try([local.delegations[each.key]], [])

    content {
      name = "delegation"

      service_delegation {
        name    = delegation.value
        actions = ["Microsoft.Network/virtualNetworks/subnets/join/action"]
      }
    }
  }
}

resource "azurerm_network_security_group" "main" {
  for_each = local.prefixes

  name                = var.names.security_groups[each.key]
  location            = var.location
  resource_group_name = var.resource_group_name
  tags                = var.tags

  dynamic "security_rule" {
    for_each = concat(local.rules[each.key], local.denials)

    content {
      name                         = security_rule.value.name
      description                  = security_rule.value.description
      priority                     = security_rule.value.priority
      direction                    = security_rule.value.direction
      access                       = security_rule.value.access
      protocol                     = security_rule.value.protocol
      source_port_range            = "*"
      source_address_prefix        = length(security_rule.value.from) == 1 ? security_rule.value.from[0] : null
      source_address_prefixes      = length(security_rule.value.from) == 1 ? null : security_rule.value.from
      destination_address_prefix   = security_rule.value.to
      destination_port_range       = length(security_rule.value.ports) == 1 ? security_rule.value.ports[0] : null
      destination_port_ranges      = length(security_rule.value.ports) == 1 ? null : security_rule.value.ports
      destination_address_prefixes = null
    }
  }
}

resource "azurerm_subnet_network_security_group_association" "main" {
  for_each = local.prefixes

  subnet_id                 = azurerm_subnet.main[each.key].id
  network_security_group_id = azurerm_network_security_group.main[each.key].id
}

resource "azurerm_private_dns_zone" "main" {
  for_each = local.private_dns_zones

  name                = each.value
  resource_group_name = var.resource_group_name
  tags                = var.tags
}

resource "azurerm_private_dns_zone_virtual_network_link" "main" {
  for_each = local.private_dns_zones

  name                 = var.names.virtual_network
  private_dns_zone_id  = azurerm_private_dns_zone.main[each.key].id
  virtual_network_id   = azurerm_virtual_network.main.id
  registration_enabled = false
  tags                 = var.tags
}

resource "azurerm_public_ip" "nat" {
  for_each = toset(var.nat_gateway_enabled ? ["nat"] : [])

  name                = var.names.nat_address
  location            = var.location
  resource_group_name = var.resource_group_name
  allocation_method   = "Static"
  sku                 = "Standard"
  tags                = var.tags
}

resource "azurerm_nat_gateway" "main" {
  for_each = toset(var.nat_gateway_enabled ? ["nat"] : [])

  name                = var.names.nat_gateway
  location            = var.location
  resource_group_name = var.resource_group_name
  sku_name            = "Standard"
  tags                = var.tags
}

resource "azurerm_nat_gateway_public_ip_association" "main" {
  for_each = azurerm_nat_gateway.main

  nat_gateway_id       = each.value.id
  public_ip_address_id = azurerm_public_ip.nat[each.key].id
}

resource "azurerm_subnet_nat_gateway_association" "environment" {
  for_each = azurerm_nat_gateway.main

  nat_gateway_id = each.value.id
  subnet_id      = azurerm_subnet.main["environment"].id
}

# Its way out: new subnets have none of their own
# https://learn.microsoft.com/azure/virtual-network/ip-services/default-outbound-access
resource "azurerm_subnet_nat_gateway_association" "runner" {
  for_each = { for name, gateway in azurerm_nat_gateway.main : name => gateway if var.runner_enabled }

  nat_gateway_id = each.value.id
  subnet_id      = azurerm_subnet.main["runner"].id
}
