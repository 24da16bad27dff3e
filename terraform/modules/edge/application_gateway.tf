# An Application Gateway, in a subnet of its own. API Management then has an address in the virtual network only.
# https://learn.microsoft.com/azure/api-management/api-management-howto-integrate-internal-vnet-appgateway

resource "azurerm_public_ip" "main" {
  for_each = local.application_gateway

  name                = var.names.public_ip
  location            = var.context.location
  resource_group_name = var.context.resource_group_name
  allocation_method   = "Static"
  sku                 = "Standard"
  zones               = length(var.zones) == 0 ? null : var.zones
  tags                = var.context.tags
}

resource "azurerm_web_application_firewall_policy" "main" {
  for_each = local.application_gateway

  name                = var.names.firewall
  location            = var.context.location
  resource_group_name = var.context.resource_group_name
  tags                = var.context.tags

  policy_settings {
    enabled                     = true
    mode                        = "Prevention"
    request_body_check          = true
    max_request_body_size_in_kb = 2000

    log_scrubbing {
      enabled = true

      dynamic "rule" {
        for_each = ["RequestArgNames", "RequestCookieNames", "RequestHeaderNames", "RequestIPAddress", "RequestJSONArgNames", "RequestPostArgNames"]

        content {
          match_variable          = rule.value
          selector_match_operator = "EqualsAny"
        }
      }
    }
  }

  managed_rules {
    managed_rule_set {
      type    = local.rule_set.type
      version = local.rule_set.version

      dynamic "rule_group_override" {
        for_each = var.edge.disabled_rules

        content {
          rule_group_name = rule_group_override.key

          dynamic "rule" {
            for_each = rule_group_override.value

            content {
              id      = rule.value
              enabled = false
            }
          }
        }
      }
    }
  }
}

resource "azurerm_application_gateway" "main" {
  for_each = local.application_gateway

  name                              = var.names.application_gateway
  location                          = var.context.location
  resource_group_name               = var.context.resource_group_name
  firewall_policy_id                = azurerm_web_application_firewall_policy.main[each.key].id
  force_firewall_policy_association = true
  http2_enabled                     = true
  zones                             = length(var.zones) == 0 ? null : var.zones
  tags                              = var.context.tags

  sku {
    name = "WAF_v2"
    tier = "WAF_v2"
  }

  autoscale_configuration {
    min_capacity = var.edge.capacity.min
    max_capacity = var.edge.capacity.max
  }

  identity {
    type         = "UserAssigned"
    identity_ids = [var.certificate.identity_id]
  }

  gateway_ip_configuration {
    name      = "subnet"
    subnet_id = var.subnet_id
  }

  frontend_ip_configuration {
    name                 = "public"
    public_ip_address_id = azurerm_public_ip.main[each.key].id
  }

  # There is no port for HTTP
  frontend_port {
    name = "https"
    port = 443
  }

  ssl_certificate {
    name                = "gateway"
    key_vault_secret_id = var.certificate.secret_id
  }

  # TLS 1.2 or later, without ciphers that use CBC
  ssl_policy {
    policy_type = "Predefined"
    policy_name = "AppGwSslPolicy20220101S"
  }

  http_listener {
    name                           = "https"
    frontend_ip_configuration_name = "public"
    frontend_port_name             = "https"
    protocol                       = "Https"
    ssl_certificate_name           = "gateway"
    host_name                      = var.edge.host_name
  }

  backend_address_pool {
    name         = "gateway"
    ip_addresses = var.gateway.private_ip_addresses
  }

  backend_http_settings {
    name                  = "gateway"
    protocol              = "Https"
    port                  = 443
    host_name             = var.gateway.host_name
    cookie_based_affinity = "Disabled"
    request_timeout       = local.timeout_in_seconds
    probe_name            = "gateway"
  }

  probe {
    name                = "gateway"
    protocol            = "Https"
    host                = var.gateway.host_name
    path                = local.status
    interval            = 30
    timeout             = 10
    unhealthy_threshold = 3

    match {
      status_code = ["200"]
    }
  }

  # Overwrites what the client sent
  rewrite_rule_set {
    name = "client"

    rewrite_rule {
      name          = "address"
      rule_sequence = 100

      request_header_configuration {
        header_name  = "X-Azure-SocketIP"
        header_value = "{var_client_ip}"
      }
    }
  }

  request_routing_rule {
    name                       = "gateway"
    rule_type                  = "Basic"
    priority                   = 100
    http_listener_name         = "https"
    backend_address_pool_name  = "gateway"
    backend_http_settings_name = "gateway"
    rewrite_rule_set_name      = "client"
  }
}
