# Logs, metrics, traces and alerts.

mock_provider "azurerm" {
  source = "./tests/mocks"
}

variables {
  context = {
    location            = "westeurope"
    resource_group_name = "rg-mock"
    tags                = {}
  }
  names = {
    workspace          = "log-mock"
    insights           = "appi-mock"
    action_group       = "ag-mock"
    workbook           = "Mock"
    budget             = "budget-mock"
    alert              = "alert-mock"
    availability       = "availability-mock"
    endpoint           = "pe-mock"
    private_link_scope = "ampls-mock"
  }
  alerts = {
    emails            = ["operator@example.org"]
    thresholds        = { failures = 5, not_starting = 5, p95_ms = 2000, refused = 10, throttled = 100 }
    availability_test = false
  }
  jobs               = { rotation = "job-mock-rotation", rotation_days = 60, sequence = "job-mock-sequence" }
  workspace          = { retention_days = 90, daily_cap_gb = 5 }
  gateway            = { id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.ApiManagement/service/apim-mock", url = "https://apim-mock.azure-api.net" }
  publishers         = { patient = "00000000-0000-0000-0000-000000000a01" }
  resource_group_ids = { primary = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock" }
  vault_id           = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.KeyVault/vaults/kv-mock"
}

run "watches" {
  module {
    source = "./modules/monitor"
  }

  assert {
    condition     = azurerm_application_insights.main.workspace_id == azurerm_log_analytics_workspace.main["workspace"].id
    error_message = "Application Insights keeps its data in the workspace."
  }

  assert {
    condition     = !azurerm_application_insights.main.local_authentication_enabled
    error_message = "Only identities can send telemetry."
  }

  assert {
    condition     = azurerm_application_insights.main.ip_masking_enabled && !azurerm_log_analytics_workspace.main["workspace"].allow_resource_only_permissions
    error_message = "Addresses are masked, and reading logs requires access to the workspace."
  }

  assert {
    condition     = azurerm_log_analytics_workspace.main["workspace"].retention_in_days == 90 && azurerm_application_insights.main.retention_in_days == 90
    error_message = "Logs are kept for the configured time."
  }

  assert {
    condition     = azurerm_role_assignment.publisher["patient"].scope == azurerm_application_insights.main.id && azurerm_role_assignment.publisher["patient"].role_definition_name == "Monitoring Metrics Publisher" && azurerm_role_assignment.publisher["patient"].principal_id == "00000000-0000-0000-0000-000000000a01"
    error_message = "A service sends telemetry with its identity."
  }

  assert {
    condition     = toset(keys(azurerm_monitor_scheduled_query_rules_alert_v2.main)) == toset(["inconsistent", "key-age", "log-cap", "not-starting", "p95", "refused", "rotation-failed", "rotation-missing", "sequence-failed", "sequence-missing", "throttled", "unsequenced", "unwitnessed"])
    error_message = "There are alerts for latency, refused calls, throttling, keys, the audit log, witnesses, starts and the cap of the logs."
  }

  assert {
    condition = { for name, alert in azurerm_monitor_scheduled_query_rules_alert_v2.main : name => "${alert.criteria[0].operator} ${alert.criteria[0].threshold}" } == {
      inconsistent     = "GreaterThan 0"
      key-age          = "GreaterThan 62"
      log-cap          = "GreaterThan 0"
      not-starting     = "GreaterThan 5"
      p95              = "GreaterThan 2000"
      refused          = "GreaterThan 10"
      rotation-failed  = "GreaterThan 0"
      rotation-missing = "LessThan 1"
      sequence-failed  = "GreaterThan 0"
      sequence-missing = "LessThan 1"
      throttled        = "GreaterThan 100"
      unsequenced      = "GreaterThan 300"
      unwitnessed      = "GreaterThan 900"
    }
    error_message = "Alerts have the configured thresholds; that of a key's age is its rotation period plus two days."
  }

  assert {
    condition = alltrue([
      for name, metric in { p95 = "percentile(duration, 95)", refused = "'refused_calls'", throttled = "'database.throttled'", key-age = "'key.age_days'", unwitnessed = "'audit.unwitnessed_age'", inconsistent = "'witness.inconsistent'", rotation-failed = "job-mock-rotation", rotation-missing = "job-mock-rotation", unsequenced = "'audit.unsequenced_age'", sequence-failed = "job-mock-sequence", sequence-missing = "job-mock-sequence", log-cap = "OverQuota", not-starting = "'ContainerCrashing'" } :
      strcontains(azurerm_monitor_scheduled_query_rules_alert_v2.main[name].criteria[0].query, metric)
    ])
    error_message = "Alerts query metrics that the services export."
  }

  assert {
    condition     = strcontains(azurerm_monitor_scheduled_query_rules_alert_v2.main["rotation-failed"].criteria[0].query, "Log matches regex '^(npm run rotate|") && strcontains(azurerm_monitor_scheduled_query_rules_alert_v2.main["sequence-failed"].criteria[0].query, "Log startswith 'sequence: '")
    error_message = "A job fails by what it reports, not by any line, such as a warning of the runtime."
  }

  assert {
    condition     = !azurerm_log_analytics_workspace.main["workspace"].local_authentication_enabled && azurerm_log_analytics_workspace.main["workspace"].daily_quota_gb == 5
    error_message = "Keys of the workspace open nothing, and its logs have a daily cap."
  }

  assert {
    condition = { for name, alert in azurerm_monitor_metric_alert.limits : name => "${join(",", alert.scopes)} ${alert.criteria[0].metric_name} ${alert.criteria[0].operator} ${alert.criteria[0].threshold}" } == {
      capacity = "${var.gateway.id} Capacity GreaterThan 70"
      vault    = "${var.vault_id} Availability LessThan 95"
    }
    error_message = "There are alerts for the capacity of the gateway and for a vault that does not answer."
  }

  assert {
    condition     = [for dimension in azurerm_monitor_scheduled_query_rules_alert_v2.main["key-age"].criteria[0].dimension : dimension.name] == ["secret"]
    error_message = "The alert names the old key."
  }

  assert {
    condition     = alltrue([for alert in azurerm_monitor_scheduled_query_rules_alert_v2.main : alert.action[0].action_groups == tolist([azurerm_monitor_action_group.main.id]) && coalesce(alert.enabled, true)]) && azurerm_monitor_action_group.main.email_receiver[0].email_address == "operator@example.org"
    error_message = "Alerts are sent to the operators."
  }

  assert {
    condition     = azurerm_monitor_metric_alert.failures.scopes == toset([var.gateway.id]) && azurerm_monitor_metric_alert.failures.criteria[0].metric_name == "Requests" && azurerm_monitor_metric_alert.failures.criteria[0].dimension[0].values == tolist(["5xx"]) && azurerm_monitor_metric_alert.failures.criteria[0].threshold == 5
    error_message = "There is an alert for 5xx responses of the gateway."
  }

  assert {
    condition     = alltrue([for title in ["Requests by route", "Latency by route", "Cold starts", "Throttled", "Audit records", "Outcome"] : strcontains(azurerm_application_insights_workbook.main.data_json, title)])
    error_message = "The workbook shows requests, latency, cold starts, throttling, and volume and outcome of audit records."
  }

  assert {
    condition     = length(azurerm_application_insights_standard_web_test.main) == 0 && length(azurerm_consumption_budget_resource_group.main) == 0
    error_message = "Availability test and budget are optional."
  }
}

run "telemetry_from_everywhere" {
  module {
    source = "./modules/monitor"
  }

  assert {
    condition     = azurerm_log_analytics_workspace.main["workspace"].internet_ingestion_access_type == "Enabled" && azurerm_application_insights.main.internet_ingestion_enabled && length(azurerm_monitor_private_link_scope.main) == 0 && length(module.endpoints.endpoints) == 0
    error_message = "Private telemetry is optional."
  }
}

run "options" {
  module {
    source = "./modules/monitor"
  }

  variables {
    alerts = {
      emails            = ["operator@example.org"]
      thresholds        = { failures = 5, not_starting = 5, p95_ms = 2000, refused = 10, throttled = 100 }
      availability_test = true
      budget            = { amount = 200 }
    }
  }

  assert {
    condition     = azurerm_application_insights_standard_web_test.main["gateway"].request[0].url == "https://apim-mock.azure-api.net/status-0123456789abcdef" && azurerm_application_insights_standard_web_test.main["gateway"].enabled
    error_message = "The availability test requests the health of the gateway itself."
  }

  assert {
    condition     = length(azurerm_monitor_metric_alert.availability) == 1
    error_message = "There is an alert for a gateway that does not answer."
  }

  assert {
    condition     = azurerm_consumption_budget_resource_group.main["primary"].amount == 200 && azurerm_consumption_budget_resource_group.main["primary"].time_period[0].start_date == formatdate("YYYY-MM-'01T00:00:00Z'", plantimestamp()) && length(azurerm_consumption_budget_resource_group.main["primary"].notification) == 2
    error_message = "There are notifications for actual and forecast cost."
  }
}

run "an_existing_workspace" {
  module {
    source = "./modules/monitor"
  }

  variables {
    workspace = { existing_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.OperationalInsights/workspaces/log-hub", retention_days = 90, daily_cap_gb = 5 }
  }

  assert {
    condition     = length(azurerm_log_analytics_workspace.main) == 0 && azurerm_application_insights.main.workspace_id == var.workspace.existing_id && output.workspace_id == var.workspace.existing_id && output.workspace_guid == "00000000-0000-0000-0000-00000000b111"
    error_message = "An existing workspace is used for everything."
  }

  assert {
    condition     = azurerm_monitor_scheduled_query_rules_alert_v2.main["log-cap"].scopes[0] == var.workspace.existing_id
    error_message = "Alerts query an existing workspace."
  }
}

run "private_telemetry" {
  module {
    source = "./modules/monitor"
  }

  variables {
    private_link_networks = {
      primary = {
        location            = "westeurope"
        resource_group_name = "rg-mock"
        subnet_ids          = { endpoints = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/virtualNetworks/vnet-mock/subnets/snet-endpoints" }
        dns_zone_ids = {
          for name in ["monitor", "monitor-agents", "monitor-data", "monitor-logs", "monitor-storage"] :
          name => "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/privateDnsZones/privatelink.${name}"
        }
      }
    }
  }

  assert {
    condition     = azurerm_log_analytics_workspace.main["workspace"].internet_ingestion_access_type == "Disabled" && azurerm_log_analytics_workspace.main["workspace"].internet_query_access_type != "Disabled" && !azurerm_application_insights.main.internet_ingestion_enabled
    error_message = "Telemetry is accepted from the network only, and queries are possible from everywhere."
  }

  assert {
    condition     = azurerm_monitor_private_link_scope.main["scope"].ingestion_access_mode == "PrivateOnly" && azurerm_monitor_private_link_scope.main["scope"].query_access_mode == "Open"
    error_message = "The network sends telemetry to what is in the scope only."
  }

  assert {
    condition     = { for name, service in azurerm_monitor_private_link_scoped_service.main : name => service.linked_resource_id } == { workspace = azurerm_log_analytics_workspace.main["workspace"].id, insights = azurerm_application_insights.main.id }
    error_message = "Workspace and Application Insights are in the scope."
  }

  assert {
    condition     = module.endpoints.endpoints["primary"].private_service_connection[0].subresource_names[0] == "azuremonitor" && module.endpoints.endpoints["primary"].private_service_connection[0].private_connection_resource_id == azurerm_monitor_private_link_scope.main["scope"].id && length(module.endpoints.endpoints["primary"].private_dns_zone_group[0].private_dns_zone_ids) == 5
    error_message = "The scope has a private endpoint with names in five zones."
  }
}
