# Front Door. The gateway recognises it by X-Azure-FDID, and takes the address of the client from X-Azure-SocketIP.
# https://learn.microsoft.com/azure/frontdoor/front-door-http-headers-protocol

locals {
  # Nobody, if there are no ranges
  are_refused = length(var.clients.ip_ranges) > 0 ? { negated = true, ranges = var.clients.ip_ranges } : { negated = false, ranges = ["0.0.0.0/0", "::/0"] }
}

resource "azurerm_cdn_frontdoor_profile" "main" {
  for_each = local.front_door

  name                     = var.names.front_door
  resource_group_name      = var.context.resource_group_name
  sku_name                 = "Premium_AzureFrontDoor"
  response_timeout_seconds = local.timeout_in_seconds
  tags                     = var.context.tags

  # Of the access log: its paths stay, as in the request log of the gateway
  dynamic "log_scrubbing_rule" {
    for_each = ["QueryStringArgNames", "RequestIPAddress"]

    content {
      match_variable = log_scrubbing_rule.value
    }
  }
}

resource "azurerm_cdn_frontdoor_endpoint" "main" {
  for_each = azurerm_cdn_frontdoor_profile.main

  name                     = var.names.endpoint
  cdn_frontdoor_profile_id = each.value.id
  tags                     = var.context.tags
}

resource "azurerm_cdn_frontdoor_custom_domain" "main" {
  for_each = { for key, profile in azurerm_cdn_frontdoor_profile.main : key => profile if var.edge.host_name != null }

  name                     = replace(var.edge.host_name, ".", "-")
  cdn_frontdoor_profile_id = each.value.id
  host_name                = var.edge.host_name

  tls {
    certificate_type = "ManagedCertificate"
    minimum_version  = "TLS12"
  }
}

resource "azurerm_cdn_frontdoor_origin_group" "main" {
  for_each = azurerm_cdn_frontdoor_profile.main

  name                     = "gateway"
  cdn_frontdoor_profile_id = each.value.id
  session_affinity_enabled = false

  load_balancing {
    sample_size                 = 4
    successful_samples_required = 3
  }

  health_probe {
    protocol            = "Https"
    path                = local.status
    request_type        = "GET"
    interval_in_seconds = 60
  }
}

resource "azurerm_cdn_frontdoor_origin" "main" {
  for_each = azurerm_cdn_frontdoor_origin_group.main

  name                           = "gateway"
  cdn_frontdoor_origin_group_id  = each.value.id
  host_name                      = var.gateway.host_name
  origin_host_header             = var.gateway.host_name
  certificate_name_check_enabled = true

  # The connection has to be approved at the gateway: see docs/azure.md
  dynamic "private_link" {
    for_each = var.edge.private_link ? [var.gateway.id] : []

    content {
      location               = var.context.location
      private_link_target_id = private_link.value
      target_type            = "Gateway"
      request_message        = "Front Door of the patient API"
    }
  }
}

# Without a cache block, nothing is cached
resource "azurerm_cdn_frontdoor_route" "main" {
  for_each = azurerm_cdn_frontdoor_endpoint.main

  name                            = "gateway"
  cdn_frontdoor_endpoint_id       = each.value.id
  cdn_frontdoor_origin_group_id   = azurerm_cdn_frontdoor_origin_group.main[each.key].id
  cdn_frontdoor_origin_ids        = [azurerm_cdn_frontdoor_origin.main[each.key].id]
  cdn_frontdoor_custom_domain_ids = [for domain in azurerm_cdn_frontdoor_custom_domain.main : domain.id]
  link_to_default_domain          = var.edge.host_name == null
  patterns_to_match               = ["/*"]
  supported_protocols             = ["Https"]
  https_redirect_enabled          = false
  forwarding_protocol             = "HttpsOnly"
}

resource "azurerm_cdn_frontdoor_custom_domain_association" "main" {
  for_each = azurerm_cdn_frontdoor_custom_domain.main

  cdn_frontdoor_custom_domain_id = each.value.id
  cdn_frontdoor_route_ids        = [azurerm_cdn_frontdoor_route.main[each.key].id]
}

resource "azurerm_cdn_frontdoor_firewall_policy" "main" {
  for_each = local.front_door

  name                              = var.names.firewall
  resource_group_name               = var.context.resource_group_name
  sku_name                          = "Premium_AzureFrontDoor"
  enabled                           = true
  mode                              = "Prevention"
  request_body_check_enabled        = true
  custom_block_response_status_code = 403
  tags                              = var.context.tags

  # Anybody can ask for the status. The expression leaves no room for another path or a query.
  dynamic "custom_rule" {
    for_each = var.clients.availability_test ? ["^https://[^/?]+${local.status}$"] : []

    content {
      name     = "status"
      type     = "MatchRule"
      priority = 1
      action   = "Allow"

      match_condition {
        match_variable     = "RequestUri"
        operator           = "RegEx"
        negation_condition = false
        match_values       = [custom_rule.value]
      }
    }
  }

  custom_rule {
    name     = "clients"
    type     = "MatchRule"
    priority = 2
    action   = "Block"

    # The address of the connection: RemoteAddr would believe X-Forwarded-For
    match_condition {
      match_variable     = "SocketAddr"
      operator           = "IPMatch"
      negation_condition = local.are_refused.negated
      match_values       = local.are_refused.ranges
    }
  }

  managed_rule {
    type    = local.rule_set.type
    version = local.rule_set.version
    action  = "Block"

    dynamic "override" {
      for_each = var.edge.disabled_rules

      content {
        rule_group_name = override.key

        dynamic "rule" {
          for_each = override.value

          content {
            rule_id = rule.value
            enabled = false
            action  = "Block"
          }
        }
      }
    }
  }

  log_scrubbing {
    enabled = true

    dynamic "scrubbing_rule" {
      for_each = ["QueryStringArgNames", "RequestBodyJsonArgNames", "RequestBodyPostArgNames", "RequestCookieNames", "RequestHeaderNames", "RequestIPAddress", "RequestUri"]

      content {
        match_variable = scrubbing_rule.value
        operator       = "EqualsAny"
      }
    }
  }
}

resource "azurerm_cdn_frontdoor_security_policy" "main" {
  for_each = azurerm_cdn_frontdoor_profile.main

  name                     = "firewall"
  cdn_frontdoor_profile_id = each.value.id

  security_policies {
    firewall {
      cdn_frontdoor_firewall_policy_id = azurerm_cdn_frontdoor_firewall_policy.main[each.key].id

      association {
        patterns_to_match = ["/*"]

        dynamic "domain" {
          for_each = concat(
            [for endpoint in azurerm_cdn_frontdoor_endpoint.main : endpoint.id],
            [for domain in azurerm_cdn_frontdoor_custom_domain.main : domain.id],
          )

          content {
            cdn_frontdoor_domain_id = domain.value
          }
        }
      }
    }
  }
}
