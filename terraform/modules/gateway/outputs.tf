output "id" {
  description = "Id of API Management."
  value       = azurerm_api_management.main.id
}

output "name" {
  description = "Name of API Management."
  value       = azurerm_api_management.main.name
}

output "url" {
  description = "Address of the gateway, without a trailing slash."
  value       = try(var.custom_domain.bound, false) ? "https://${var.custom_domain.host_name}" : azurerm_api_management.main.gateway_url
}

output "certificate_role_ids" {
  description = "Ids of the role assignments with which the gateway reads its certificate."
  value       = [for role in azurerm_role_assignment.certificate : role.id]
}

output "host_name" {
  description = "Azure's host name of the gateway."
  value       = trimprefix(azurerm_api_management.main.gateway_url, "https://")
}

output "private_addresses" {
  description = "Addresses of the gateway in the virtual network, if it is internal."
  value       = azurerm_api_management.main.private_ip_addresses
}
