output "edge_validation_token" {
  description = "Text of the DNS record _dnsauth of edge.host_name, by which Front Door checks who owns it; null where none is needed."
  value       = one([for edge in module.edge : edge.validation_token])
}

output "gateway_id" {
  description = "Id of API Management."
  value       = module.gateway.id
}

output "gateway_name" {
  description = "Name of API Management."
  value       = module.gateway.name
}

output "gateway_private_addresses" {
  description = "Addresses of a Premium v2 gateway in the virtual network: its host name needs a DNS record with them."
  value       = module.gateway.private_addresses
}

output "gateway_url" {
  description = "Address of the gateway for clients: that of the edge, if there is one."
  value       = local.url
}

output "key_vault_name" {
  description = "Name of the vault."
  value       = module.vault.name
}

output "key_vault_uri" {
  description = "Address of the vault."
  value       = module.vault.uri
}

output "log_analytics_workspace" {
  description = "Workspace id for queries."
  value       = module.monitor.workspace_guid
}

output "registry_login_server" {
  description = "Host name of the registry."
  value       = module.registry.login_server
}

output "registry_name" {
  description = "Name of the registry."
  value       = module.registry.name
}

output "resource_group" {
  description = "Resource group of the first region."
  value       = local.group
}

output "resource_groups" {
  description = "Resource groups, by region."
  value       = { for region, group in azurerm_resource_group.main : region => group.name }
}

output "runner_scale_set" {
  description = "Scale set of the runners; null: none."
  value       = one([for runner in module.runner : runner.scale_set_name])
}

output "security_rules" {
  description = "Security rules that each subnet needs, by region: the owner of existing subnets has to set them."
  value       = { for region, network in module.network : region => network.security_rules }
}
