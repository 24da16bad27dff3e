output "id" {
  description = "Id of the registry."
  value       = azurerm_container_registry.main.id
}

output "login_server" {
  description = "Host name of the registry; available once the pull rights are assigned."
  value       = azurerm_container_registry.main.login_server
  depends_on  = [azurerm_role_assignment.pull, azurerm_private_endpoint.main]
}

output "name" {
  description = "Name of the registry."
  value       = azurerm_container_registry.main.name
}
