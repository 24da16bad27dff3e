# The network of one region. Every list of security rules ends with a deny rule.

locals {
  is_made = var.existing.virtual_network_id == null

  prefix_length = tonumber(split("/", var.address_space)[1])

  # Addresses depend on the order: append, do not insert
  subnet_order = ["environment", "gateway", "endpoints", "runner", "edge"]

  # The first subnet has as many /27 as it needs, each of the others has one
  first_27 = pow(2, 27 - var.subnets.environment_prefix_length) - 1

  made_prefixes = {
    for index, name in local.subnet_order : name => (
      name == "environment"
      ? cidrsubnet(var.address_space, var.subnets.environment_prefix_length - local.prefix_length, 0)
      : cidrsubnet(var.address_space, 27 - local.prefix_length, index + local.first_27)
    )
    if local.is_made && (name != "runner" || var.subnets.runner) && (name != "edge" || var.edge == "application_gateway")
  }

  prefixes = merge(local.made_prefixes, { for name, subnet in data.azurerm_subnet.existing : name => subnet.address_prefixes[0] })

  virtual_network_id = local.is_made ? one([for network in azurerm_virtual_network.main : network.id]) : var.existing.virtual_network_id

  # Classic tiers of API Management need no delegation
  delegations = merge({ environment = "Microsoft.App/environments" }, {
    for tier, service in { StandardV2 = "Microsoft.Web/serverFarms", PremiumV2 = "Microsoft.Web/hostingEnvironments" } : "gateway" => service
    if tier == var.subnets.gateway_tier
  })

  # Zones of a hub are linked by their owner
  made_zones = var.existing.private_dns_zone_ids == null ? var.dns_zones : {}
}

# Subnets of somebody else, who is also responsible for their security rules, routes and delegations
data "azurerm_subnet" "existing" {
  for_each = { for name, id in var.existing.subnet_ids : name => id if id != null }

  name                 = split("/", each.value)[10]
  virtual_network_name = split("/", each.value)[8]
  resource_group_name  = split("/", each.value)[4]

  lifecycle {
    postcondition {
      condition     = each.key != "environment" || tonumber(split("/", self.address_prefixes[0])[1]) <= var.subnets.environment_prefix_length
      error_message = "The existing subnet of the environment is smaller than environment_prefix_length, which the replicas need."
    }

    postcondition {
      condition     = each.key != "gateway" || !var.subnets.vault_endpoint || contains([for endpoint in self.service_endpoint : endpoint.service], "Microsoft.KeyVault")
      error_message = "With a custom domain, the existing subnet of the gateway needs the service endpoint Microsoft.KeyVault."
    }
  }
}

resource "azurerm_virtual_network" "main" {
  for_each = toset(local.is_made ? ["network"] : [])

  name                = var.names.virtual_network
  location            = var.context.location
  resource_group_name = var.context.resource_group_name
  address_space       = [var.address_space]
  tags                = var.context.tags

  dynamic "ddos_protection_plan" {
    for_each = var.ddos_protection_plan_id == null ? [] : [var.ddos_protection_plan_id]

    content {
      id     = ddos_protection_plan.value
      enable = true
    }
  }
}

moved {
  from = azurerm_virtual_network.main
  to   = azurerm_virtual_network.main["network"]
}

resource "azurerm_subnet" "main" {
  for_each = local.made_prefixes

  name                 = var.names.subnets[each.key]
  resource_group_name  = var.context.resource_group_name
  virtual_network_name = azurerm_virtual_network.main["network"].name
  address_prefixes     = [each.value]
  # The security rules below also apply to private endpoints
  private_endpoint_network_policies = "Enabled"

  # API Management reads the certificate of a custom domain through the firewall of the vault, and a runner reads the
  # state through that of its storage account
  dynamic "service_endpoint" {
    for_each = concat(
      each.key == "gateway" && var.subnets.vault_endpoint ? ["Microsoft.KeyVault"] : [],
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
  for_each = local.made_prefixes

  name                = var.names.security_groups[each.key]
  location            = var.context.location
  resource_group_name = var.context.resource_group_name
  tags                = var.context.tags

  dynamic "security_rule" {
    for_each = concat(local.rules[each.key], local.denials[each.key])

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
  for_each = local.made_prefixes

  subnet_id                 = azurerm_subnet.main[each.key].id
  network_security_group_id = azurerm_network_security_group.main[each.key].id
}

resource "azurerm_private_dns_zone" "main" {
  for_each = local.made_zones

  name                = each.value
  resource_group_name = var.context.resource_group_name
  tags                = var.context.tags
}

resource "azurerm_private_dns_zone_virtual_network_link" "main" {
  for_each = local.made_zones

  name                 = var.names.virtual_network
  private_dns_zone_id  = azurerm_private_dns_zone.main[each.key].id
  virtual_network_id   = local.virtual_network_id
  registration_enabled = false
  tags                 = var.context.tags
}

resource "azurerm_public_ip" "nat" {
  for_each = toset(var.egress.nat_gateway ? ["nat"] : [])

  name                = var.names.nat_address
  location            = var.context.location
  resource_group_name = var.context.resource_group_name
  allocation_method   = "Static"
  sku                 = "Standard"
  tags                = var.context.tags
}

resource "azurerm_nat_gateway" "main" {
  for_each = toset(var.egress.nat_gateway ? ["nat"] : [])

  name                = var.names.nat_gateway
  location            = var.context.location
  resource_group_name = var.context.resource_group_name
  sku_name            = "Standard"
  tags                = var.context.tags
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
  for_each = { for name, gateway in azurerm_nat_gateway.main : name => gateway if var.subnets.runner }

  nat_gateway_id = each.value.id
  subnet_id      = azurerm_subnet.main["runner"].id
}
