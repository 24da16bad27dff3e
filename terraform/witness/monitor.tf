# Logs, and the alert that a log has two histories.

resource "azurerm_log_analytics_workspace" "main" {
  name                = "log-${var.name}"
  location            = var.location
  resource_group_name = azurerm_resource_group.main.name
  sku                 = "PerGB2018"
  retention_in_days   = 365
  tags                = local.tags
}

resource "azurerm_application_insights" "main" {
  name                         = "appi-${var.name}"
  location                     = var.location
  resource_group_name          = azurerm_resource_group.main.name
  application_type             = "web"
  workspace_id                 = azurerm_log_analytics_workspace.main.id
  local_authentication_enabled = false
  ip_masking_enabled           = true
  sampling_percentage          = 100
  tags                         = local.tags
}

resource "azurerm_role_assignment" "publisher" {
  scope                = azurerm_application_insights.main.id
  role_definition_name = "Monitoring Metrics Publisher"
  principal_id         = azurerm_user_assigned_identity.main.principal_id
  principal_type       = "ServicePrincipal"
  description          = "witness: telemetry"
}

resource "azurerm_monitor_diagnostic_setting" "environment" {
  name                           = "log-analytics"
  target_resource_id             = azurerm_container_app_environment.main.id
  log_analytics_workspace_id     = azurerm_log_analytics_workspace.main.id
  log_analytics_destination_type = "Dedicated"

  enabled_log {
    category = "ContainerAppConsoleLogs"
  }

  enabled_log {
    category = "ContainerAppSystemLogs"
  }
}

resource "azurerm_monitor_diagnostic_setting" "vault" {
  name                       = "log-analytics"
  target_resource_id         = azurerm_key_vault.main.id
  log_analytics_workspace_id = azurerm_log_analytics_workspace.main.id

  enabled_log {
    category = "AuditEvent"
  }
}

resource "azurerm_monitor_diagnostic_setting" "storage" {
  name                       = "log-analytics"
  target_resource_id         = "${azurerm_storage_account.main.id}/blobServices/default"
  log_analytics_workspace_id = azurerm_log_analytics_workspace.main.id

  enabled_log {
    category = "StorageWrite"
  }

  enabled_log {
    category = "StorageDelete"
  }
}

resource "azurerm_monitor_action_group" "main" {
  name                = "ag-${var.name}"
  resource_group_name = azurerm_resource_group.main.name
  short_name          = "witness"
  tags                = local.tags

  dynamic "email_receiver" {
    for_each = { for index, address in var.alert_emails : format("operator-%02d", index) => address }

    content {
      name                    = email_receiver.key
      email_address           = email_receiver.value
      use_common_alert_schema = true
    }
  }
}

resource "azurerm_monitor_scheduled_query_rules_alert_v2" "inconsistent" {
  name                  = "alert-${var.name}-inconsistent"
  location              = var.location
  resource_group_name   = azurerm_resource_group.main.name
  description           = "A log signed a checkpoint that does not extend the one before. The log of the app contains both."
  severity              = 0
  evaluation_frequency  = "PT5M"
  window_duration       = "PT15M"
  scopes                = [azurerm_application_insights.main.id]
  skip_query_validation = true
  tags                  = local.tags

  criteria {
    # Defined in services/common/telemetry/metrics.ts
    query                   = "customMetrics | where name == 'witness.inconsistent' | project timestamp, checkpoints = valueSum"
    operator                = "GreaterThan"
    threshold               = 0
    time_aggregation_method = "Total"
    metric_measure_column   = "checkpoints"
  }

  action {
    action_groups = [azurerm_monitor_action_group.main.id]
  }
}
