output "connection_string" {
  description = "Connection string of Application Insights. Not a secret: sending telemetry requires an identity."
  value       = azurerm_application_insights.main.connection_string
  sensitive   = true
  depends_on  = [azurerm_role_assignment.publisher, module.endpoints]
}

output "insights_id" {
  description = "Id of Application Insights."
  value       = azurerm_application_insights.main.id
}

output "workspace_guid" {
  description = "Workspace id for queries."
  value       = local.workspace.guid
}

output "workspace_id" {
  description = "Resource id of the workspace."
  value       = local.workspace.id
}
