# Workbook for operators.

locals {
  charts = [
    {
      title  = "Requests by route"
      shape  = "timechart"
      source = "microsoft.insights/components"
      id     = azurerm_application_insights.main.id
      query  = "requests | summarize requests = sum(itemCount) by bin(timestamp, 5m), name"
    },
    {
      title  = "Latency by route (ms)"
      shape  = "table"
      source = "microsoft.insights/components"
      id     = azurerm_application_insights.main.id
      query  = "requests | summarize p50 = percentile(duration, 50), p95 = percentile(duration, 95), p99 = percentile(duration, 99), requests = sum(itemCount) by name | order by p95 desc"
    },
    {
      title  = "Cold starts"
      shape  = "timechart"
      source = "microsoft.operationalinsights/workspaces"
      id     = local.workspace.id
      query  = "ContainerAppConsoleLogs | where Log has 'Server listening' | summarize starts = count() by bin(TimeGenerated, 15m), ContainerAppName"
    },
    {
      title  = "Throttled commands"
      shape  = "timechart"
      source = "microsoft.insights/components"
      id     = azurerm_application_insights.main.id
      query  = "customMetrics | where name == 'database.throttled' | summarize commands = sum(valueSum) by bin(timestamp, 5m), cloud_RoleName"
    },
    {
      title  = "Audit records, and blocks that hold them"
      shape  = "timechart"
      source = "microsoft.insights/components"
      id     = azurerm_application_insights.main.id
      query  = "customMetrics | where name == 'audit.batch.size' | summarize records = sum(valueSum), blocks = sum(valueCount) by bin(timestamp, 5m)"
    },
    {
      title  = "Outcome of audited calls"
      shape  = "timechart"
      source = "microsoft.insights/components"
      id     = azurerm_application_insights.main.id
      query  = "requests | where cloud_RoleName startswith 'audit' | summarize calls = sum(itemCount) by bin(timestamp, 5m), resultCode"
    },
    {
      title  = "Refused calls"
      shape  = "timechart"
      source = "microsoft.insights/components"
      id     = azurerm_application_insights.main.id
      query  = "customMetrics | where name == 'refused_calls' | summarize calls = sum(valueSum) by bin(timestamp, 5m), kind = tostring(customDimensions.kind)"
    },
  ]
}

resource "azurerm_application_insights_workbook" "main" {
  # The name must be a UUID; this one is the same at every apply
  name                = uuidv5("dns", "${var.names.workbook}.${var.context.resource_group_name}")
  location            = var.context.location
  resource_group_name = var.context.resource_group_name
  display_name        = var.names.workbook
  source_id           = lower(azurerm_application_insights.main.id)
  category            = "workbook"
  tags                = var.context.tags

  data_json = jsonencode({
    version = "Notebook/1.0"
    items = [
      for chart in local.charts : {
        type = 3
        name = chart.title
        content = {
          version                 = "KqlItem/1.0"
          title                   = chart.title
          query                   = chart.query
          size                    = 0
          queryType               = 0
          resourceType            = chart.source
          crossComponentResources = [chart.id]
          visualization           = chart.shape
          timeContext             = { durationMs = 86400000 }
        }
      }
    ]
  })
}
