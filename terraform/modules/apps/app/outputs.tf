output "id" {
  description = "Id of the app."
  value       = azurerm_container_app.main.id
}
