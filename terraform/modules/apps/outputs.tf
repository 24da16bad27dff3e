output "default_domain" {
  description = "Domain of the environment, which the virtual network resolves."
  value       = azurerm_container_app_environment.main.default_domain
  depends_on  = [azurerm_private_dns_a_record.main, azurerm_private_dns_zone_virtual_network_link.main, azurerm_private_dns_zone_virtual_network_link.resolver]
}

output "urls" {
  description = "Address of each app."
  value       = local.urls
  depends_on  = [azurerm_private_dns_a_record.main, azurerm_private_dns_zone_virtual_network_link.main, azurerm_private_dns_zone_virtual_network_link.resolver]
}
