output "dns_zone_ids" {
  description = "Ids of the private DNS zones, as named in dns_zones; those that are missing are managed elsewhere."
  # Dependents need the zone to be linked to the network
  value      = var.existing.private_dns_zone_ids == null ? { for name, zone in azurerm_private_dns_zone.main : name => zone.id } : var.existing.private_dns_zone_ids
  depends_on = [azurerm_private_dns_zone_virtual_network_link.main]
}

output "egress_address" {
  description = "Address of outbound traffic of the environment, if there is a NAT gateway; null otherwise."
  value       = one([for address in azurerm_public_ip.nat : address.ip_address])
}

output "security_rules" {
  description = "Security rules that each subnet needs; those of existing subnets are set by their owner."
  value       = { for subnet in keys(local.prefixes) : subnet => concat(local.rules[subnet], local.denials[subnet]) }
}

output "subnet_ids" {
  description = "Ids of the subnets: environment, gateway, endpoints, and runner and edge if they exist."
  # Dependents need the security rules of the subnet to be in place
  value = merge({ for name, subnet in azurerm_subnet.main : name => subnet.id }, { for name, subnet in data.azurerm_subnet.existing : name => subnet.id })
  depends_on = [
    azurerm_subnet_network_security_group_association.main,
    azurerm_subnet_nat_gateway_association.environment,
    azurerm_subnet_nat_gateway_association.runner,
  ]
}

output "subnet_prefixes" {
  description = "Address ranges of the subnets."
  value       = local.prefixes
}

output "virtual_network_id" {
  description = "Id of the virtual network."
  value       = local.virtual_network_id
}
