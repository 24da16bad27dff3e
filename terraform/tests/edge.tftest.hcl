# Front Door and the Application Gateway.

mock_provider "azurerm" {
  source = "./tests/mocks"
}

variables {
  names = {
    front_door          = "afd-mock"
    endpoint            = "mock"
    firewall            = "wafmock"
    application_gateway = "agw-mock"
    public_ip           = "pip-mock-edge"
    diagnostic_setting  = "log-analytics"
  }
  context = {
    location            = "westeurope"
    resource_group_name = "rg-mock"
    tags                = { system = "mock" }
    workspace_id        = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.OperationalInsights/workspaces/log-mock"
  }
  edge    = { kind = "front_door" }
  gateway = { id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.ApiManagement/service/apim-mock", host_name = "apim-mock.azure-api.net", private_ip_addresses = ["10.1.0.36"] }
  clients = { ip_ranges = ["192.0.2.0/24"], availability_test = false }
  zones   = []
}

run "front_door" {
  module {
    source = "./modules/edge"
  }

  assert {
    condition     = azurerm_cdn_frontdoor_firewall_policy.main["edge"].mode == "Prevention" && azurerm_cdn_frontdoor_firewall_policy.main["edge"].enabled && azurerm_cdn_frontdoor_firewall_policy.main["edge"].request_body_check_enabled && azurerm_cdn_frontdoor_firewall_policy.main["edge"].managed_rule[0].type == "Microsoft_DefaultRuleSet" && azurerm_cdn_frontdoor_firewall_policy.main["edge"].managed_rule[0].version == "2.1" && azurerm_cdn_frontdoor_firewall_policy.main["edge"].managed_rule[0].action == "Block" && length(azurerm_cdn_frontdoor_firewall_policy.main["edge"].managed_rule[0].override) == 0
    error_message = "The firewall of Front Door blocks what the managed rules find."
  }

  assert {
    condition     = [for rule in azurerm_cdn_frontdoor_firewall_policy.main["edge"].custom_rule : "${rule.action} ${rule.match_condition[0].match_variable} ${rule.match_condition[0].operator} ${rule.match_condition[0].negation_condition} ${join(",", rule.match_condition[0].match_values)}"] == ["Block SocketAddr IPMatch true 192.0.2.0/24"]
    error_message = "Front Door refuses all but the ranges of the clients, by the address of the connection."
  }

  assert {
    condition     = azurerm_cdn_frontdoor_firewall_policy.main["edge"].log_scrubbing[0].enabled && toset([for rule in azurerm_cdn_frontdoor_firewall_policy.main["edge"].log_scrubbing[0].scrubbing_rule : "${rule.match_variable} ${rule.operator}"]) == toset(["QueryStringArgNames EqualsAny", "RequestBodyJsonArgNames EqualsAny", "RequestBodyPostArgNames EqualsAny", "RequestCookieNames EqualsAny", "RequestHeaderNames EqualsAny", "RequestIPAddress EqualsAny", "RequestUri EqualsAny"])
    error_message = "The log of the firewall has no part of a request."
  }

  assert {
    condition     = azurerm_cdn_frontdoor_profile.main["edge"].sku_name == "Premium_AzureFrontDoor" && toset([for rule in azurerm_cdn_frontdoor_profile.main["edge"].log_scrubbing_rule : rule.match_variable]) == toset(["QueryStringArgNames", "RequestIPAddress"]) && azurerm_cdn_frontdoor_profile.main["edge"].response_timeout_seconds == 65
    error_message = "The access log has neither queries nor addresses, and Front Door waits longer than the gateway."
  }

  assert {
    condition     = azurerm_cdn_frontdoor_security_policy.main["edge"].security_policies[0].firewall[0].cdn_frontdoor_firewall_policy_id == azurerm_cdn_frontdoor_firewall_policy.main["edge"].id && [for domain in azurerm_cdn_frontdoor_security_policy.main["edge"].security_policies[0].firewall[0].association[0].domain : domain.cdn_frontdoor_domain_id] == [azurerm_cdn_frontdoor_endpoint.main["edge"].id] && azurerm_cdn_frontdoor_security_policy.main["edge"].security_policies[0].firewall[0].association[0].patterns_to_match[0] == "/*"
    error_message = "The firewall covers all that clients can call."
  }

  assert {
    condition     = toset(azurerm_cdn_frontdoor_route.main["edge"].supported_protocols) == toset(["Https"]) && !azurerm_cdn_frontdoor_route.main["edge"].https_redirect_enabled && azurerm_cdn_frontdoor_route.main["edge"].forwarding_protocol == "HttpsOnly" && length(azurerm_cdn_frontdoor_route.main["edge"].cache) == 0 && azurerm_cdn_frontdoor_route.main["edge"].link_to_default_domain
    error_message = "Front Door accepts and sends HTTPS only, and caches nothing."
  }

  assert {
    condition     = azurerm_cdn_frontdoor_origin.main["edge"].host_name == "apim-mock.azure-api.net" && azurerm_cdn_frontdoor_origin.main["edge"].origin_host_header == "apim-mock.azure-api.net" && azurerm_cdn_frontdoor_origin.main["edge"].certificate_name_check_enabled && length(azurerm_cdn_frontdoor_origin.main["edge"].private_link) == 0
    error_message = "Front Door checks the certificate of the gateway."
  }

  assert {
    condition     = azurerm_cdn_frontdoor_origin_group.main["edge"].health_probe[0].path == "/status-0123456789abcdef" && azurerm_cdn_frontdoor_origin_group.main["edge"].health_probe[0].protocol == "Https" && !azurerm_cdn_frontdoor_origin_group.main["edge"].session_affinity_enabled
    error_message = "Front Door asks for the status of the gateway, which starts no service."
  }

  assert {
    condition     = azurerm_monitor_diagnostic_setting.main["edge"].target_resource_id == azurerm_cdn_frontdoor_profile.main["edge"].id && azurerm_monitor_diagnostic_setting.main["edge"].log_analytics_workspace_id == var.context.workspace_id && toset([for log in azurerm_monitor_diagnostic_setting.main["edge"].enabled_log : log.category]) == toset(["FrontDoorAccessLog", "FrontDoorHealthProbeLog", "FrontDoorWebApplicationFirewallLog"])
    error_message = "Front Door is logged."
  }

  assert {
    condition     = length(azurerm_application_gateway.main) + length(azurerm_public_ip.main) + length(azurerm_web_application_firewall_policy.main) == 0 && output.host_name == "mock-0123.z01.azurefd.net" && output.front_door_id == "00000000-0000-0000-0000-00000000afd1" && output.validation_token == null
    error_message = "Front Door needs no Application Gateway."
  }
}

run "front_door_for_nobody" {
  module {
    source = "./modules/edge"
  }

  variables {
    clients = { ip_ranges = [], availability_test = true }
  }

  assert {
    condition     = [for rule in azurerm_cdn_frontdoor_firewall_policy.main["edge"].custom_rule : "${rule.priority} ${rule.action} ${rule.match_condition[0].match_variable} ${rule.match_condition[0].operator} ${rule.match_condition[0].negation_condition} ${join(",", rule.match_condition[0].match_values)}"] == ["1 Allow RequestUri RegEx false ^https://[^/?]+/status-0123456789abcdef$", "2 Block SocketAddr IPMatch false 0.0.0.0/0,::/0"]
    error_message = "Without ranges, nobody can call, except the availability test for the status."
  }
}

run "front_door_with_a_name_and_private_link" {
  module {
    source = "./modules/edge"
  }

  variables {
    edge = { kind = "front_door", host_name = "api.example.org", private_link = true, disabled_rules = { SQLI = ["942430"] } }
  }

  assert {
    condition     = azurerm_cdn_frontdoor_custom_domain.main["edge"].host_name == "api.example.org" && azurerm_cdn_frontdoor_custom_domain.main["edge"].tls[0].minimum_version == "TLS12" && output.host_name == "api.example.org" && output.validation_token == "mock-token" && !azurerm_cdn_frontdoor_route.main["edge"].link_to_default_domain && azurerm_cdn_frontdoor_custom_domain_association.main["edge"].cdn_frontdoor_route_ids[0] == azurerm_cdn_frontdoor_route.main["edge"].id
    error_message = "With a host name, clients use it with TLS 1.2 or later."
  }

  assert {
    condition     = length(azurerm_cdn_frontdoor_security_policy.main["edge"].security_policies[0].firewall[0].association[0].domain) == 2
    error_message = "The firewall covers the host name as well."
  }

  assert {
    condition     = azurerm_cdn_frontdoor_origin.main["edge"].private_link[0].private_link_target_id == var.gateway.id && azurerm_cdn_frontdoor_origin.main["edge"].private_link[0].target_type == "Gateway" && azurerm_cdn_frontdoor_origin.main["edge"].private_link[0].location == "westeurope"
    error_message = "Private Link connects Front Door with the gateway."
  }

  assert {
    condition     = azurerm_cdn_frontdoor_firewall_policy.main["edge"].managed_rule[0].override[0].rule_group_name == "SQLI" && azurerm_cdn_frontdoor_firewall_policy.main["edge"].managed_rule[0].override[0].rule[0].rule_id == "942430" && !azurerm_cdn_frontdoor_firewall_policy.main["edge"].managed_rule[0].override[0].rule[0].enabled
    error_message = "A rule that refuses valid requests can be turned off."
  }
}

run "application_gateway" {
  module {
    source = "./modules/edge"
  }

  variables {
    edge        = { kind = "application_gateway", host_name = "api.example.org", disabled_rules = { SQLI = ["942430"] } }
    certificate = { identity_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-edge", secret_id = "https://kv-mock.vault.azure.net/secrets/api" }
    subnet_id   = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/virtualNetworks/vnet-mock/subnets/snet-edge"
    zones       = ["1", "2", "3"]
  }

  assert {
    condition     = azurerm_web_application_firewall_policy.main["edge"].policy_settings[0].mode == "Prevention" && azurerm_web_application_firewall_policy.main["edge"].policy_settings[0].enabled && azurerm_web_application_firewall_policy.main["edge"].policy_settings[0].request_body_check && [for set in azurerm_web_application_firewall_policy.main["edge"].managed_rules[0].managed_rule_set : "${set.type} ${set.version}"] == ["Microsoft_DefaultRuleSet 2.1"] && azurerm_application_gateway.main["edge"].firewall_policy_id == azurerm_web_application_firewall_policy.main["edge"].id && azurerm_application_gateway.main["edge"].force_firewall_policy_association && azurerm_application_gateway.main["edge"].sku[0].tier == "WAF_v2"
    error_message = "The firewall of the Application Gateway blocks what the managed rules find."
  }

  assert {
    condition     = azurerm_web_application_firewall_policy.main["edge"].policy_settings[0].log_scrubbing[0].enabled && toset([for rule in azurerm_web_application_firewall_policy.main["edge"].policy_settings[0].log_scrubbing[0].rule : "${rule.match_variable} ${rule.selector_match_operator}"]) == toset(["RequestArgNames EqualsAny", "RequestCookieNames EqualsAny", "RequestHeaderNames EqualsAny", "RequestIPAddress EqualsAny", "RequestJSONArgNames EqualsAny", "RequestPostArgNames EqualsAny"])
    error_message = "The log of this firewall has no part of a request either."
  }

  assert {
    condition     = azurerm_web_application_firewall_policy.main["edge"].managed_rules[0].managed_rule_set[0].rule_group_override[0].rule_group_name == "SQLI" && azurerm_web_application_firewall_policy.main["edge"].managed_rules[0].managed_rule_set[0].rule_group_override[0].rule[0].id == "942430" && !azurerm_web_application_firewall_policy.main["edge"].managed_rules[0].managed_rule_set[0].rule_group_override[0].rule[0].enabled
    error_message = "A rule of this firewall can be turned off as well."
  }

  assert {
    condition     = [for port in azurerm_application_gateway.main["edge"].frontend_port : port.port] == [443] && one(azurerm_application_gateway.main["edge"].http_listener).protocol == "Https" && one(azurerm_application_gateway.main["edge"].http_listener).host_name == "api.example.org" && one(azurerm_application_gateway.main["edge"].ssl_certificate).key_vault_secret_id == var.certificate.secret_id && azurerm_application_gateway.main["edge"].ssl_policy[0].policy_name == "AppGwSslPolicy20220101S" && azurerm_application_gateway.main["edge"].identity[0].identity_ids == toset([var.certificate.identity_id])
    error_message = "The Application Gateway accepts HTTPS only, with TLS 1.2 or later and the certificate in the vault."
  }

  assert {
    condition     = one(azurerm_application_gateway.main["edge"].backend_address_pool).ip_addresses == toset(["10.1.0.36"]) && one(azurerm_application_gateway.main["edge"].backend_http_settings).protocol == "Https" && one(azurerm_application_gateway.main["edge"].backend_http_settings).host_name == "apim-mock.azure-api.net" && one(azurerm_application_gateway.main["edge"].backend_http_settings).request_timeout == 65
    error_message = "The Application Gateway calls the gateway inside the network, with HTTPS."
  }

  assert {
    condition     = one(azurerm_application_gateway.main["edge"].probe).path == "/status-0123456789abcdef" && one(azurerm_application_gateway.main["edge"].probe).protocol == "Https" && one(azurerm_application_gateway.main["edge"].probe).host == "apim-mock.azure-api.net" && one(azurerm_application_gateway.main["edge"].backend_http_settings).probe_name == one(azurerm_application_gateway.main["edge"].probe).name
    error_message = "The Application Gateway asks for the status of the gateway."
  }

  assert {
    condition     = [for rule in one(azurerm_application_gateway.main["edge"].rewrite_rule_set).rewrite_rule : one(rule.request_header_configuration)] == [{ header_name = "X-Azure-SocketIP", header_value = "{var_client_ip}" }] && one(azurerm_application_gateway.main["edge"].request_routing_rule).rewrite_rule_set_name == one(azurerm_application_gateway.main["edge"].rewrite_rule_set).name
    error_message = "The Application Gateway reports the address of the client, whatever the client sent."
  }

  assert {
    condition     = azurerm_application_gateway.main["edge"].gateway_ip_configuration[0].subnet_id == var.subnet_id && azurerm_application_gateway.main["edge"].zones == toset(["1", "2", "3"]) && azurerm_application_gateway.main["edge"].autoscale_configuration[0].max_capacity == 10
    error_message = "The Application Gateway is in its subnet, in all zones."
  }

  assert {
    condition     = azurerm_monitor_diagnostic_setting.main["edge"].target_resource_id == azurerm_application_gateway.main["edge"].id && [for log in azurerm_monitor_diagnostic_setting.main["edge"].enabled_log : log.category] == ["ApplicationGatewayFirewallLog"]
    error_message = "Only the log of the firewall is kept: nothing removes queries from the access log."
  }

  assert {
    condition     = length(azurerm_cdn_frontdoor_profile.main) == 0 && output.host_name == "api.example.org" && output.front_door_id == null
    error_message = "An Application Gateway needs no Front Door."
  }
}

run "an_application_gateway_without_a_certificate" {
  command = plan

  module {
    source = "./modules/edge"
  }

  variables {
    edge = { kind = "application_gateway", host_name = "api.example.org" }
  }

  expect_failures = [var.certificate]
}
