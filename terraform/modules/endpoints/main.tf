# Private endpoints of one or more resources, in the subnet endpoints of each region.

locals {
  endpoints = {
    for name, endpoint in var.endpoints : name => merge(endpoint, {
      network  = var.networks[endpoint.region]
      zone_ids = [for zone in endpoint.zones : var.networks[endpoint.region].dns_zone_ids[zone] if contains(keys(var.networks[endpoint.region].dns_zone_ids), zone)]
    })
  }
}

resource "azurerm_private_endpoint" "main" {
  for_each = { for name, endpoint in local.endpoints : name => endpoint if length(endpoint.zone_ids) > 0 }

  name                = each.value.name
  location            = each.value.network.location
  resource_group_name = each.value.network.resource_group_name
  subnet_id           = each.value.network.subnet_ids["endpoints"]
  tags                = var.tags

  private_service_connection {
    name                           = each.value.service
    private_connection_resource_id = each.value.resource_id
    subresource_names              = [each.value.subresource]
    is_manual_connection           = false
  }

  private_dns_zone_group {
    name                 = each.value.service
    private_dns_zone_ids = each.value.zone_ids
  }
}

# Without a zone: a policy of the hub registers the endpoint in its own zones, and adds the group that is ignored here
# https://learn.microsoft.com/azure/cloud-adoption-framework/ready/azure-best-practices/private-link-and-dns-integration-at-scale
resource "azurerm_private_endpoint" "registered_elsewhere" {
  for_each = { for name, endpoint in local.endpoints : name => endpoint if length(endpoint.zone_ids) == 0 }

  name                = each.value.name
  location            = each.value.network.location
  resource_group_name = each.value.network.resource_group_name
  subnet_id           = each.value.network.subnet_ids["endpoints"]
  tags                = var.tags

  private_service_connection {
    name                           = each.value.service
    private_connection_resource_id = each.value.resource_id
    subresource_names              = [each.value.subresource]
    is_manual_connection           = false
  }

  lifecycle {
    # Only this differs from the resource above: Terraform allows no condition here
    ignore_changes = [private_dns_zone_group]
  }
}
