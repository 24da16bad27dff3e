output "dns_zone_ids" {
  description = "Ids of the private DNS zones: database, registry, vault."
  # Dependents need the zone to be linked to the network
  value      = { for name, zone in azurerm_private_dns_zone.main : name => zone.id }
  depends_on = [azurerm_private_dns_zone_virtual_network_link.main]
}

output "egress_address" {
  description = "Address of outbound traffic of the environment, if there is a NAT gateway; null otherwise."
  value       = one([for address in azurerm_public_ip.nat : address.ip_address])
}

output "subnet_ids" {
  description = "Ids of the subnets: environment, gateway, endpoints, and runner if it exists."
  # Dependents need the security rules of the subnet to be in place
  value      = { for name, subnet in azurerm_subnet.main : name => subnet.id }
  depends_on = [azurerm_subnet_network_security_group_association.main, azurerm_subnet_nat_gateway_association.environment]
}

output "subnet_prefixes" {
  description = "Address ranges of the subnets."
  value       = local.prefixes
}

output "virtual_network_id" {
  description = "Id of the virtual network."
  value       = azurerm_virtual_network.main.id
}
