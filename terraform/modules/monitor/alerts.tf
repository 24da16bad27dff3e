# Alerts.

locals {
  # Names of metrics are defined in services/common/telemetry/metrics.ts
  query_alerts = {
    p95 = {
      description = "95th percentile of the response time, including cold starts."
      severity    = 2
      frequency   = "PT5M"
      window      = "PT15M"
      scope       = azurerm_application_insights.main.id
      operator    = "GreaterThan"
      threshold   = var.alerts.thresholds.p95_ms
      aggregation = "Maximum"
      column      = "p95"
      query       = "requests | where cloud_RoleName startswith 'patient' | summarize p95 = percentile(duration, 95) by bin(timestamp, 5m)"
    }
    refused = {
      description = "Calls that a service refused: invalid host key, or address not on its list."
      severity    = 2
      frequency   = "PT5M"
      window      = "PT15M"
      scope       = azurerm_application_insights.main.id
      operator    = "GreaterThan"
      threshold   = var.alerts.thresholds.refused
      aggregation = "Total"
      column      = "calls"
      query       = "customMetrics | where name == 'refused_calls' | project timestamp, calls = valueSum"
    }
    throttled = {
      description = "Commands that a database throttled."
      severity    = 2
      frequency   = "PT5M"
      window      = "PT15M"
      scope       = azurerm_application_insights.main.id
      operator    = "GreaterThan"
      threshold   = var.alerts.thresholds.throttled
      aggregation = "Total"
      column      = "commands"
      query       = "customMetrics | where name == 'database.throttled' | project timestamp, commands = valueSum"
    }
    key-age = {
      description = "A key is older than its rotation period: rotation does not work for it."
      severity    = 1
      frequency   = "PT1H"
      window      = "PT6H"
      scope       = azurerm_application_insights.main.id
      operator    = "GreaterThan"
      # Rotation runs once a day, after the period
      threshold   = var.jobs.rotation_days + 2
      aggregation = "Maximum"
      column      = "days"
      query       = "customMetrics | where name == 'key.age_days' | project timestamp, secret = tostring(customDimensions.secret), days = value"
    }
    unsequenced = {
      description = "Records are not in the audit log 5 minutes after they were stored."
      severity    = 1
      frequency   = "PT5M"
      window      = "PT15M"
      scope       = azurerm_application_insights.main.id
      operator    = "GreaterThan"
      threshold   = 300
      aggregation = "Maximum"
      column      = "seconds"
      query       = "customMetrics | where name == 'audit.unsequenced_age' | project timestamp, seconds = value"
    }
    # Covers also what the replicas of audit do not report, because there are none
    sequence-failed = {
      description = "The job that completes the audit log failed: the log is damaged, or the database or a witness is unavailable."
      severity    = 1
      frequency   = "PT1H"
      window      = "PT6H"
      scope       = local.workspace.id
      operator    = "GreaterThan"
      threshold   = 0
      aggregation = "Count"
      column      = null
      query       = "ContainerAppConsoleLogs | where ContainerGroupName startswith '${var.jobs.sequence}' and Stream == 'stderr' and Log startswith 'sequence: '"
    }
    sequence-missing = {
      description = "The job that completes the audit log has not run for two hours."
      severity    = 1
      frequency   = "PT1H"
      window      = "PT2H"
      scope       = local.workspace.id
      operator    = "LessThan"
      threshold   = 1
      aggregation = "Count"
      column      = null
      query       = "ContainerAppConsoleLogs | where ContainerGroupName startswith '${var.jobs.sequence}' and Stream == 'stdout'"
    }
    unwitnessed = {
      description = "A witness did not cosign records for 15 minutes: it is unavailable, or does not accept the log."
      severity    = 1
      frequency   = "PT5M"
      window      = "PT15M"
      scope       = azurerm_application_insights.main.id
      operator    = "GreaterThan"
      threshold   = 900
      aggregation = "Maximum"
      column      = "seconds"
      query       = "customMetrics | where name == 'audit.unwitnessed_age' | project timestamp, witness = tostring(customDimensions.witness), seconds = value"
    }
    inconsistent = {
      description = "A witness knows another history of the audit log, or a longer one."
      severity    = 0
      frequency   = "PT5M"
      window      = "PT15M"
      scope       = azurerm_application_insights.main.id
      operator    = "GreaterThan"
      threshold   = 0
      aggregation = "Total"
      column      = "checkpoints"
      query       = "customMetrics | where name == 'witness.inconsistent' | project timestamp, checkpoints = valueSum"
    }
    rotation-failed = {
      description = "Rotation failed for a secret."
      severity    = 1
      frequency   = "PT1H"
      window      = "PT6H"
      scope       = local.workspace.id
      operator    = "GreaterThan"
      threshold   = 0
      aggregation = "Count"
      column      = null
      query       = "ContainerAppConsoleLogs | where ContainerGroupName startswith '${var.jobs.rotation}' and Stream == 'stderr' and Log matches regex '^(npm run rotate|[a-z]+(-[a-z]+)+): '"
    }
    # The platform reports them, also where the container itself could write nothing
    # https://learn.microsoft.com/azure/container-apps/troubleshoot-container-start-failures
    not-starting = {
      description = "Containers end at their start, are out of memory, or their image cannot be pulled."
      severity    = 1
      frequency   = "PT5M"
      window      = "PT15M"
      scope       = local.workspace.id
      operator    = "GreaterThan"
      threshold   = var.alerts.thresholds.not_starting
      aggregation = "Count"
      column      = null
      query       = "ContainerAppSystemLogs | where Reason in~ ('BackOff', 'ContainerBackOff', 'ContainerCrashing', 'ContainerCreateFailure', 'ErrImagePull', 'ImagePullBackOff', 'ImagePullFailure', 'OOMKilled')"
    }
    # https://learn.microsoft.com/azure/azure-monitor/logs/daily-cap
    log-cap = {
      description = "The daily cap of the logs is reached: until the next day, nothing is logged and no alert that queries logs fires."
      severity    = 1
      frequency   = "PT1H"
      window      = "PT6H"
      scope       = local.workspace.id
      operator    = "GreaterThan"
      threshold   = 0
      aggregation = "Count"
      column      = null
      query       = "_LogOperation | where Category =~ 'Ingestion' | where Detail contains 'OverQuota'"
    }
    # Services that are scaled to zero do not report the age of a key
    rotation-missing = {
      description = "Rotation has not run for two days."
      severity    = 1
      frequency   = "P1D"
      window      = "P2D"
      scope       = local.workspace.id
      operator    = "LessThan"
      threshold   = 1
      aggregation = "Count"
      column      = null
      query       = "ContainerAppConsoleLogs | where ContainerGroupName startswith '${var.jobs.rotation}' and Stream == 'stdout'"
    }
  }
}

resource "azurerm_monitor_scheduled_query_rules_alert_v2" "main" {
  for_each = local.query_alerts

  name                    = "${var.names.alert}-${each.key}"
  location                = var.context.location
  resource_group_name     = var.context.resource_group_name
  description             = each.value.description
  severity                = each.value.severity
  evaluation_frequency    = each.value.frequency
  window_duration         = each.value.window
  scopes                  = [each.value.scope]
  auto_mitigation_enabled = each.value.frequency != "P1D"
  # Tables and metrics are created with the first entry
  skip_query_validation = true
  tags                  = var.context.tags

  criteria {
    query                   = each.value.query
    operator                = each.value.operator
    threshold               = each.value.threshold
    time_aggregation_method = each.value.aggregation
    metric_measure_column   = each.value.column

    dynamic "dimension" {
      for_each = lookup({ key-age = ["secret"], unwitnessed = ["witness"] }, each.key, [])

      content {
        name     = dimension.value
        operator = "Include"
        values   = ["*"]
      }
    }
  }

  action {
    action_groups = [azurerm_monitor_action_group.main.id]
  }
}

resource "azurerm_monitor_metric_alert" "failures" {
  name                = "${var.names.alert}-5xx"
  resource_group_name = var.context.resource_group_name
  description         = "5xx responses of the gateway: the audit service or a database is unavailable, or there is a defect."
  scopes              = [var.gateway.id]
  severity            = 1
  frequency           = "PT1M"
  window_size         = "PT5M"
  tags                = var.context.tags

  criteria {
    metric_namespace = "Microsoft.ApiManagement/service"
    metric_name      = "Requests"
    aggregation      = "Total"
    operator         = "GreaterThan"
    threshold        = var.alerts.thresholds.failures

    dimension {
      name     = "GatewayResponseCodeCategory"
      operator = "Include"
      values   = ["5xx"]
    }
  }

  action {
    action_group_id = azurerm_monitor_action_group.main.id
  }
}

# What limits the whole environment before it fails
resource "azurerm_monitor_metric_alert" "limits" {
  for_each = {
    capacity = { scope = var.gateway.id, namespace = "Microsoft.ApiManagement/service", metric = var.gateway.is_v2 ? "CpuPercent_Gateway" : "Capacity", operator = "GreaterThan", threshold = 70, description = "The gateway is used by more than 70 %: add a unit." }
    vault    = { scope = var.vault_id, namespace = "Microsoft.KeyVault/vaults", metric = "Availability", operator = "LessThan", threshold = 95, description = "The vault does not answer requests, or throttles them." }
  }

  name                = "${var.names.alert}-${each.key}"
  resource_group_name = var.context.resource_group_name
  description         = each.value.description
  scopes              = [each.value.scope]
  severity            = 2
  frequency           = "PT5M"
  window_size         = "PT30M"
  tags                = var.context.tags

  criteria {
    metric_namespace = each.value.namespace
    metric_name      = each.value.metric
    aggregation      = "Average"
    operator         = each.value.operator
    threshold        = each.value.threshold
  }

  action {
    action_group_id = azurerm_monitor_action_group.main.id
  }
}

# Requests the health of the gateway itself, which starts no service
resource "azurerm_application_insights_standard_web_test" "main" {
  for_each = toset(var.alerts.availability_test ? ["gateway"] : [])

  name                    = var.names.availability
  location                = var.context.location
  resource_group_name     = var.context.resource_group_name
  application_insights_id = azurerm_application_insights.main.id
  description             = "The gateway answers."
  enabled                 = true
  frequency               = 300
  timeout                 = 30
  retry_enabled           = true
  geo_locations           = ["emea-nl-ams-azr", "emea-gb-db3-azr", "emea-se-sto-edge", "emea-ru-msa-edge", "emea-fr-pra-edge"]
  tags                    = var.context.tags

  request {
    url = "${var.gateway.url}/status-0123456789abcdef"
  }

  validation_rules {
    expected_status_code        = 200
    ssl_check_enabled           = true
    ssl_cert_remaining_lifetime = 14
  }
}

resource "azurerm_monitor_metric_alert" "availability" {
  for_each = azurerm_application_insights_standard_web_test.main

  name                = "${var.names.alert}-availability"
  resource_group_name = var.context.resource_group_name
  description         = "The gateway does not answer from at least two locations."
  scopes              = [each.value.id, azurerm_application_insights.main.id]
  severity            = 1
  frequency           = "PT1M"
  window_size         = "PT15M"
  tags                = var.context.tags

  application_insights_web_test_location_availability_criteria {
    web_test_id           = each.value.id
    component_id          = azurerm_application_insights.main.id
    failed_location_count = 2
  }

  action {
    action_group_id = azurerm_monitor_action_group.main.id
  }
}
