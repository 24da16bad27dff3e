output "id" {
  description = "Id of the registry."
  value       = local.registry.id
}

output "login_server" {
  description = "Host name of the registry; available once the pull rights are assigned."
  value       = local.registry.server
  depends_on  = [azurerm_role_assignment.pull, module.endpoints]
}

output "name" {
  description = "Name of the registry."
  value       = local.registry.name
}
