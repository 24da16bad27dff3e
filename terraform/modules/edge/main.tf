# A web application firewall in front of the gateway: Front Door or an Application Gateway. Matched values can be health
# data, so the logs of either firewall do not contain them.

locals {
  front_door          = toset(var.edge.kind == "front_door" ? ["edge"] : [])
  application_gateway = toset(var.edge.kind == "application_gateway" ? ["edge"] : [])

  # API Management answers it itself, and starts no service
  status = "/status-0123456789abcdef"

  # https://learn.microsoft.com/azure/web-application-firewall/afds/waf-front-door-drs
  rule_set = { type = "Microsoft_DefaultRuleSet", version = "2.1" }

  # A service responds within 50 s, and the gateway waits for 60 s
  timeout_in_seconds = 65
}

resource "azurerm_monitor_diagnostic_setting" "main" {
  for_each = merge(
    { for key, profile in azurerm_cdn_frontdoor_profile.main : key => { id = profile.id, logs = ["FrontDoorAccessLog", "FrontDoorHealthProbeLog", "FrontDoorWebApplicationFirewallLog"] } },
    # Not ApplicationGatewayAccessLog: it has the query of each request and the client's address, and nothing removes them
    { for key, gateway in azurerm_application_gateway.main : key => { id = gateway.id, logs = ["ApplicationGatewayFirewallLog"] } },
  )

  name                           = var.names.diagnostic_setting
  target_resource_id             = each.value.id
  log_analytics_workspace_id     = var.context.workspace_id
  log_analytics_destination_type = var.edge.kind == "application_gateway" ? "Dedicated" : null

  dynamic "enabled_log" {
    for_each = each.value.logs

    content {
      category = enabled_log.value
    }
  }

  enabled_metric {
    category = "AllMetrics"
  }
}
