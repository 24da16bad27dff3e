output "client_ids" {
  description = "Client ids of the identities, by app."
  value       = { for name, identity in azurerm_user_assigned_identity.main : name => identity.client_id }
}

output "ids" {
  description = "Resource ids of the identities, by app."
  value       = { for name, identity in azurerm_user_assigned_identity.main : name => identity.id }
}

output "principal_ids" {
  description = "Object ids of the identities, by app."
  value       = { for name, identity in azurerm_user_assigned_identity.main : name => identity.principal_id }
}
