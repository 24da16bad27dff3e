output "client_ids" {
  description = "Client ids, by what the identities stand for."
  value       = { for name, identity in azurerm_user_assigned_identity.main : name => identity.client_id }
}

output "ids" {
  description = "Resource ids, by what the identities stand for."
  value       = { for name, identity in azurerm_user_assigned_identity.main : name => identity.id }
}

output "principal_ids" {
  description = "Object ids, by what the identities stand for."
  value       = { for name, identity in azurerm_user_assigned_identity.main : name => identity.principal_id }
}
