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
  value       = var.custom_domain == null ? azurerm_api_management.main.gateway_url : "https://${var.custom_domain.host_name}"
}
