output "customer_managed_key_id" {
  description = "Versionless id of the key that encrypts the databases, or null; available once Cosmos DB has access to it."
  value       = one([for key in azurerm_key_vault_key.databases : key.versionless_id])
  depends_on  = [azurerm_role_assignment.databases_key]
}

output "id" {
  description = "Id of the vault."
  value       = local.vault.id
}

output "name" {
  description = "Name of the vault."
  value       = local.vault.name
}

output "uri" {
  description = "Address of the vault, with a trailing slash; available once the read rights are assigned."
  value       = local.vault.uri
  depends_on  = [azurerm_role_assignment.secret, azurerm_role_assignment.foreign_secret, module.endpoints]
}
