output "container_name" {
  description = "Container of the states."
  value       = azurerm_storage_container.main.name
}

output "resource_group_name" {
  description = "Resource group of the storage account."
  value       = azurerm_resource_group.main.name
}

output "storage_account_name" {
  description = "Storage account of the states."
  value       = azurerm_storage_account.main.name
}
