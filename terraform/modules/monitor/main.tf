# Storage of logs, metrics and traces. Alerts and the workbook are in alerts.tf and workbook.tf.

locals {
  workspace = concat(
    [for workspace in azurerm_log_analytics_workspace.main : { id = workspace.id, guid = workspace.workspace_id }],
    [for workspace in data.azurerm_log_analytics_workspace.existing : { id = workspace.id, guid = workspace.workspace_id }],
  )[0]
}

# Its owner decides on its retention, its cap and who can read it
data "azurerm_log_analytics_workspace" "existing" {
  for_each = toset(var.workspace.existing_id == null ? [] : [var.workspace.existing_id])

  name                = split("/", each.key)[8]
  resource_group_name = split("/", each.key)[4]
}

resource "azurerm_log_analytics_workspace" "main" {
  for_each = toset(var.workspace.existing_id == null ? ["workspace"] : [])

  name                = var.names.workspace
  location            = var.context.location
  resource_group_name = var.context.resource_group_name
  sku                 = "PerGB2018"
  retention_in_days   = var.workspace.retention_days
  # What sends logs authenticates with Entra ID or is a diagnostic setting, so the keys of the workspace open nothing
  local_authentication_enabled   = false
  daily_quota_gb                 = var.workspace.daily_cap_gb
  internet_ingestion_access_type = local.is_private ? "Disabled" : "Enabled"
  # Access to a resource does not include its logs, because paths in them contain ids of patients
  allow_resource_only_permissions = false
  tags                            = var.context.tags
}

moved {
  from = azurerm_log_analytics_workspace.main
  to   = azurerm_log_analytics_workspace.main["workspace"]
}

resource "azurerm_application_insights" "main" {
  name                = var.names.insights
  location            = var.context.location
  resource_group_name = var.context.resource_group_name
  application_type    = "web"
  workspace_id        = local.workspace.id
  # Only the identities below can send telemetry
  local_authentication_enabled = false
  ip_masking_enabled           = true
  internet_ingestion_enabled   = !local.is_private
  # The services sample themselves
  sampling_percentage = 100
  retention_in_days   = var.workspace.retention_days
  tags                = var.context.tags
}

resource "azurerm_role_assignment" "publisher" {
  for_each = var.publishers

  scope                = azurerm_application_insights.main.id
  role_definition_name = "Monitoring Metrics Publisher"
  principal_id         = each.value
  principal_type       = "ServicePrincipal"
  description          = "${each.key}: telemetry"
}

resource "azurerm_monitor_action_group" "main" {
  name                = var.names.action_group
  resource_group_name = var.context.resource_group_name
  short_name          = "operators"
  tags                = var.context.tags

  dynamic "email_receiver" {
    for_each = { for index, address in var.alerts.emails : format("operator-%02d", index) => address }

    content {
      name                    = email_receiver.key
      email_address           = email_receiver.value
      use_common_alert_schema = true
    }
  }
}

resource "azurerm_consumption_budget_resource_group" "main" {
  for_each = var.alerts.budget == null ? {} : var.resource_group_ids

  name              = "${var.names.budget}-${each.key}"
  resource_group_id = each.value
  amount            = var.alerts.budget.amount
  time_grain        = "Monthly"

  time_period {
    # The month of the first apply: a budget cannot begin in the past (hashicorp/terraform-provider-azurerm#12121)
    start_date = formatdate("YYYY-MM-'01T00:00:00Z'", plantimestamp())
  }

  dynamic "notification" {
    for_each = { Actual = 80, Forecasted = 100 }

    content {
      operator       = "GreaterThan"
      threshold      = notification.value
      threshold_type = notification.key
      contact_groups = notification.key == "Actual" ? [azurerm_monitor_action_group.main.id] : null
      contact_roles  = ["Owner"]
    }
  }

  lifecycle {
    ignore_changes = [time_period]
  }
}
