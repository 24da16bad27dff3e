# Request logs without bodies, headers and query parameters. Paths contain ids of patients: THREATS.md says who can read them.

locals {
  # Traces go to Application Insights, request logs to Log Analytics
  diagnostics = {
    applicationinsights = {
      logger_id   = azurerm_api_management_logger.insights.id
      correlation = "W3C"
      sampling    = var.sampling_percentage
    }
    # The service has this logger itself, once a diagnostic setting exists (hashicorp/terraform-provider-azurerm#29050)
    azuremonitor = {
      logger_id   = "${azurerm_api_management.main.id}/loggers/azuremonitor"
      correlation = null
      sampling    = 100
    }
  }
}

resource "azurerm_api_management_logger" "insights" {
  name                = var.names.logger
  resource_group_name = var.context.resource_group_name
  api_management_name = azurerm_api_management.main.name
  resource_id         = var.insights.id
  buffered            = true

  application_insights {
    connection_string  = var.insights.connection_string
    identity_client_id = var.identity.client_id
  }
}

resource "azurerm_api_management_diagnostic" "main" {
  for_each = local.diagnostics

  identifier                = each.key
  resource_group_name       = var.context.resource_group_name
  api_management_name       = azurerm_api_management.main.name
  api_management_logger_id  = each.value.logger_id
  sampling_percentage       = each.value.sampling
  always_log_errors         = true
  log_client_ip             = false
  verbosity                 = "information"
  http_correlation_protocol = each.value.correlation
  operation_name_format     = each.key == "applicationinsights" ? "Name" : null

  frontend_request {
    body_bytes     = 0
    headers_to_log = []

    data_masking {
      query_params {
        mode  = "Hide"
        value = "*"
      }
    }
  }

  frontend_response {
    body_bytes     = 0
    headers_to_log = []
  }

  backend_request {
    body_bytes     = 0
    headers_to_log = []

    data_masking {
      query_params {
        mode  = "Hide"
        value = "*"
      }
    }
  }

  backend_response {
    body_bytes     = 0
    headers_to_log = []
  }

  depends_on = [azurerm_monitor_diagnostic_setting.main]
}

resource "azurerm_monitor_diagnostic_setting" "main" {
  name                           = var.names.diagnostic_setting
  target_resource_id             = azurerm_api_management.main.id
  log_analytics_workspace_id     = var.context.workspace_id
  log_analytics_destination_type = "Dedicated"

  enabled_log {
    category = "GatewayLogs"
  }

  enabled_metric {
    category = "AllMetrics"
  }
}
