output "front_door_id" {
  description = "What Front Door sends as X-Azure-FDID; null for an Application Gateway."
  value       = one([for profile in azurerm_cdn_frontdoor_profile.main : profile.resource_guid])
}

output "host_name" {
  description = "Host name for clients."
  value       = coalesce(var.edge.host_name, one([for endpoint in azurerm_cdn_frontdoor_endpoint.main : endpoint.host_name]))
}

output "validation_token" {
  description = "Text of the DNS record _dnsauth of the host name, by which Front Door checks who owns it; null where none is needed."
  value       = one([for domain in azurerm_cdn_frontdoor_custom_domain.main : domain.validation_token])
}
