# The auditor's page: without subscription keys, because browsers send none. It asks for the key of an auditor, and calls
# the other APIs with it.

locals {
  auditor_operations = {
    for method in length(var.urls.auditor) == 0 ? [] : ["GET", "POST"] : lower(method) => method
  }
}

resource "azurerm_api_management_api" "auditor" {
  for_each = { for region, url in var.urls.auditor : region => url if region == "primary" }

  name                  = "auditor"
  display_name          = "Auditor's page"
  resource_group_name   = var.context.resource_group_name
  api_management_name   = azurerm_api_management.main.name
  revision              = "1"
  path                  = "auditor"
  protocols             = ["https"]
  service_url           = each.value
  subscription_required = false
}

resource "azurerm_api_management_api_operation" "auditor" {
  for_each = local.auditor_operations

  operation_id        = "${each.key}-auditor-page"
  display_name        = "${each.value} a page"
  description         = "Passes the request on to the auditor's page."
  resource_group_name = var.context.resource_group_name
  api_management_name = azurerm_api_management.main.name
  api_name            = azurerm_api_management_api.auditor["primary"].name
  method              = each.value
  url_template        = "/*"

  response {
    status_code = 200
    description = "OK"
  }
}

resource "azurerm_api_management_api_policy" "auditor" {
  for_each = azurerm_api_management_api.auditor

  resource_group_name = var.context.resource_group_name
  api_management_name = azurerm_api_management.main.name
  api_name            = each.value.name
  xml_content         = local.auditor_policy

  lifecycle {
    precondition {
      condition     = alltrue([for region in keys(var.urls.auditor) : region == "primary" || strcontains(local.auditor_policy, "{{auditor-backend-url-${region}}}")])
      error_message = "policies/auditor.xml sets no backend that could be replaced for each region."
    }
  }

  depends_on = [azurerm_api_management_named_value.main]
}
