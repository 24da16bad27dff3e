# The private endpoint of a Standard v2 gateway, and the filter of addresses that replaces its security rules: calls from
# the internet do not come through the virtual network.

locals {
  private_endpoints = toset(local.tier == "StandardV2" ? ["gateway"] : [])

  # Azure sends calls of the private endpoint with its connection. An edge has its own filter.
  address_filter = local.tier != "StandardV2" || var.edge != null ? "" : join("\n", concat(
    ["<choose>", "<when condition='@(context.Request.PrivateEndpointConnection == null)'>"],
    length(var.client_ip_ranges) == 0 ? ["<return-response><set-status code=\"403\" reason=\"Forbidden\" /></return-response>"] : concat(
      ["<ip-filter action=\"allow\">"],
      [for range in var.client_ip_ranges : "<address-range from=\"${cidrhost(range, 0)}\" to=\"${cidrhost(range, -1)}\" />"],
      ["</ip-filter>"],
    ),
    ["</when>", "</choose>"],
  ))
}

resource "azurerm_private_dns_zone" "main" {
  for_each = local.private_endpoints

  name                = "privatelink.azure-api.net"
  resource_group_name = var.context.resource_group_name
  tags                = var.context.tags
}

resource "azurerm_private_dns_zone_virtual_network_link" "main" {
  for_each = local.private_endpoints

  name                 = var.names.endpoint
  private_dns_zone_id  = azurerm_private_dns_zone.main[each.key].id
  virtual_network_id   = var.network.virtual_network_id
  registration_enabled = false
  tags                 = var.context.tags
}

resource "azurerm_private_endpoint" "main" {
  for_each = local.private_endpoints

  name                = var.names.endpoint
  location            = var.context.location
  resource_group_name = var.context.resource_group_name
  subnet_id           = var.network.endpoints_subnet_id
  tags                = var.context.tags

  private_service_connection {
    name                           = "gateway"
    private_connection_resource_id = azurerm_api_management.main.id
    subresource_names              = ["Gateway"]
    is_manual_connection           = false
  }

  private_dns_zone_group {
    name                 = "gateway"
    private_dns_zone_ids = [azurerm_private_dns_zone.main[each.key].id]
  }

  depends_on = [azurerm_private_dns_zone_virtual_network_link.main]
}
