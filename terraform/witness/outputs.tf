output "checkpoints" {
  description = "Container of the cosigned checkpoints."
  value       = "https://${azurerm_storage_account.main.name}.blob.core.windows.net/${azurerm_storage_container.main["checkpoints"].name}"
}

output "url" {
  description = "URL of the witness; <url>/keys answers its public key."
  value       = "https://witness.${azurerm_container_app_environment.main.default_domain}"
}
