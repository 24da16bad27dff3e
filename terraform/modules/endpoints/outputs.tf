output "endpoints" {
  description = "The private endpoints."
  value       = merge(azurerm_private_endpoint.main, azurerm_private_endpoint.registered_elsewhere)
}
