# APIs, their policies, and products.

locals {
  # Operations are relative to the path of the API: requests for other paths get 404, with or without a key
  patient_document = merge(
    { for name, part in var.documents.patient : name => part if name != "servers" },
    {
      paths = {
        for path, item in merge(var.documents.patient.paths, local.access_log) :
        (trimprefix(path, "/patient") == "" ? "/" : trimprefix(path, "/patient")) => item
      }
      components = merge(try(var.documents.patient.components, {}), {
        schemas = merge(try(var.documents.audit.components.schemas, {}), try(var.documents.patient.components.schemas, {}))
      })
    },
  )

  # The operations of the patient API that the audit service carries out. Without subscriptions there is no product that
  # could refuse them, so they are left out.
  access_log = { for path, item in var.documents.audit.paths : path => item if startswith(path, "/patient/") && local.keys_required }

  # The other APIs of the audit service: audit is imported
  audit_documents = {
    audit = merge(
      { for name, part in var.documents.audit : name => part if name != "servers" },
      {
        paths = {
          for path, item in var.documents.audit.paths : (trimprefix(path, "/audit") == "" ? "/" : trimprefix(path, "/audit")) => item
          if path == "/audit" || startswith(path, "/audit/")
        }
      },
    )
  }

  # The operations of log are created one by one: OpenAPI has no wildcards, and a new import would delete what is not in it
  log_operations = {
    for path, item in var.documents.audit.paths : item.get.operationId => {
      url_template = trimprefix(path, "/log")
      summary      = item.get.summary
      description  = item.get.description
    } if startswith(path, "/log/")
  }

  # The policy of the patient API with the backend and the host key of the audit service
  audit_policies = {
    for path in ["audit", "log", "patient"] : path => replace(
      replace(local.keys_required ? local.patient_policy : local.regional_policy, "patient-host-key", "audit-query-key"),
      "/\\{\\{patient-backend-url([^}]*)\\}\\}/", "{{audit-backend-url$1}}/${path}"
    )
  }

  key_names = {
    header = "Ocp-Apim-Subscription-Key"
    query  = "subscription-key"
  }

  keys_required = var.entra == null ? true : !var.entra.replaces_keys

  apis = {
    patient = azurerm_api_management_api.patient.name
    audit   = azurerm_api_management_api.audit["audit"].name
    log     = azurerm_api_management_api.audit["log"].name
    echo    = azurerm_api_management_api.echo.name
  }

  # policies/product.xml uses the names of the first product's values
  first_product = keys(var.products)[0]
  limit_prefix  = { for product in keys(var.products) : product => product == local.first_product ? "" : "${product}-" }

  limits = merge([
    for product, settings in var.products : {
      "${local.limit_prefix[product]}calls-per-minute"       = tostring(settings.calls_per_minute)
      "${local.limit_prefix[product]}calls-per-day"          = tostring(settings.calls_per_day)
      "${local.limit_prefix[product]}require-on-behalf-of"   = tostring(settings.require_on_behalf_of)
      "${local.limit_prefix[product]}require-purpose-of-use" = tostring(settings.require_purpose_of_use)
    }
  ]...)

  product_policies = {
    for product, prefix in local.limit_prefix : product => replace(
      replace(var.policies.product, "/\\{\\{(calls-per-|require-)/", "{{${prefix}$1"),
      var.product_conditions["client"], lookup(var.product_conditions, product, var.product_conditions["client"])
    )
  }

  # A cors statement without origins is invalid, so it is left out then
  cors_policy = length(var.cors_origins) == 0 ? replace(var.policies.global, "/(?s)\\s*<cors .*</cors>/", "") : replace(
    var.policies.global, "<origin>{{cors-origins}}</origin>", join("", [for origin in var.cors_origins : "<origin>${origin}</origin>"])
  )

  # Before anything else
  global_policy = local.address_filter == "" ? local.cors_policy : replace(local.cors_policy, "<inbound>", "<inbound>\n${local.address_filter}")

  openings = merge([
    for product, settings in var.products : { for api in settings.apis : "${product}/${api}" => { product = product, api = api } }
  ]...)
}

resource "azurerm_api_management_api" "patient" {
  name                  = "patient"
  display_name          = "Patient API"
  resource_group_name   = var.context.resource_group_name
  api_management_name   = azurerm_api_management.main.name
  revision              = "1"
  path                  = "patient"
  protocols             = ["https"]
  service_url           = var.urls.patient["primary"]
  subscription_required = local.keys_required

  subscription_key_parameter_names {
    header = local.key_names.header
    query  = local.key_names.query
  }

  import {
    content_format = "openapi+json"
    content_value  = jsonencode(local.patient_document)
  }
}

# The audit register, for auditors: always with subscriptions, whose products say who is an auditor
resource "azurerm_api_management_api" "audit" {
  for_each = toset(["audit", "log"])

  name                  = each.key
  display_name          = each.key == "audit" ? "Audit API" : "Audit log API"
  resource_group_name   = var.context.resource_group_name
  api_management_name   = azurerm_api_management.main.name
  revision              = "1"
  path                  = each.key
  protocols             = ["https"]
  service_url           = "${var.urls.audit["primary"]}/${each.key}"
  subscription_required = true

  subscription_key_parameter_names {
    header = local.key_names.header
    query  = local.key_names.query
  }

  dynamic "import" {
    for_each = contains(keys(local.audit_documents), each.key) ? [local.audit_documents[each.key]] : []

    content {
      content_format = "openapi+json"
      content_value  = jsonencode(import.value)
    }
  }
}

resource "azurerm_api_management_api_operation" "log" {
  for_each = local.log_operations

  operation_id        = each.key
  display_name        = each.value.summary
  description         = each.value.description
  resource_group_name = var.context.resource_group_name
  api_management_name = azurerm_api_management.main.name
  api_name            = azurerm_api_management_api.audit["log"].name
  method              = "GET"
  url_template        = each.value.url_template

  response {
    status_code = 200
    description = "OK"
  }
}

resource "azurerm_api_management_api_policy" "audit" {
  for_each = azurerm_api_management_api.audit

  resource_group_name = var.context.resource_group_name
  api_management_name = azurerm_api_management.main.name
  api_name            = each.value.name
  xml_content         = local.audit_policies[each.key]

  lifecycle {
    precondition {
      condition     = !strcontains(local.audit_policies[each.key], "{{patient-") && !strcontains(local.audit_policies[each.key], "patient-host-key")
      error_message = "The policy of the audit service still has the backend or the host key of the patient service."
    }
  }

  depends_on = [azurerm_api_management_named_value.main]
}

resource "azurerm_api_management_api_operation_policy" "access_log" {
  for_each = local.access_log

  resource_group_name = var.context.resource_group_name
  api_management_name = azurerm_api_management.main.name
  api_name            = azurerm_api_management_api.patient.name
  operation_id        = each.value.get.operationId
  xml_content         = local.audit_policies["patient"]

  depends_on = [azurerm_api_management_named_value.main]
}

# The sample API of API Management, which the provider deletes from new services. Its backend is Microsoft's echo
# service over http; the policy removes the subscription key first.
resource "azurerm_api_management_api" "echo" {
  name                  = "echo"
  display_name          = "Echo API"
  resource_group_name   = var.context.resource_group_name
  api_management_name   = azurerm_api_management.main.name
  revision              = "1"
  path                  = "echo"
  protocols             = ["https"]
  service_url           = "http://echoapi.cloudapp.net/api"
  subscription_required = true

  subscription_key_parameter_names {
    header = local.key_names.header
    query  = local.key_names.query
  }
}

resource "azurerm_api_management_api_operation" "retrieve_resource" {
  operation_id        = "retrieve-resource"
  display_name        = "Retrieve resource"
  description         = "Returns the request."
  resource_group_name = var.context.resource_group_name
  api_management_name = azurerm_api_management.main.name
  api_name            = azurerm_api_management_api.echo.name
  method              = "GET"
  url_template        = "/resource"

  request {
    query_parameter {
      name     = "param1"
      type     = "string"
      required = false
    }
  }

  response {
    status_code = 200
    description = "OK"
  }
}

resource "azurerm_api_management_policy" "main" {
  api_management_id = azurerm_api_management.main.id
  xml_content       = local.edge_policy

  lifecycle {
    precondition {
      condition     = var.edge == null || (strcontains(local.edge_policy, "name=\"client-address\"") && strcontains(local.addressed_policy, "context.Variables[\"client-address\"]"))
      error_message = "policies/global.xml or policies/patient.xml has no place for the address that the edge reports."
    }

    precondition {
      condition     = alltrue([for origin in var.cors_origins : strcontains(local.global_policy, "<origin>${origin}</origin>")])
      error_message = "policies/global.xml has no place for the allowed origins."
    }

    precondition {
      condition     = strcontains(local.global_policy, local.address_filter)
      error_message = "policies/global.xml has no place for the filter of addresses."
    }
  }

  depends_on = [azurerm_api_management_named_value.main]
}

resource "azurerm_api_management_api_policy" "patient" {
  resource_group_name = var.context.resource_group_name
  api_management_name = azurerm_api_management.main.name
  api_name            = azurerm_api_management_api.patient.name
  xml_content         = local.patient_policy

  lifecycle {
    precondition {
      condition     = alltrue([for place in var.additional_locations : strcontains(local.patient_policy, "{{patient-backend-url-${place.location}}}")])
      error_message = "policies/patient.xml sets no backend that could be replaced for each region."
    }

    precondition {
      condition     = var.entra == null || strcontains(local.patient_policy, "<validate-azure-ad-token ")
      error_message = "policies/patient.xml has no place for token validation."
    }
  }

  depends_on = [azurerm_api_management_named_value.main]
}

resource "azurerm_api_management_api_policy" "echo" {
  resource_group_name = var.context.resource_group_name
  api_management_name = azurerm_api_management.main.name
  api_name            = azurerm_api_management_api.echo.name
  xml_content         = var.policies.echo

  depends_on = [azurerm_api_management_named_value.main, azurerm_api_management_api_operation.retrieve_resource]
}

# Subscriptions are not created here, because the state would contain their keys
resource "azurerm_api_management_product" "main" {
  for_each = var.products

  product_id            = each.key
  display_name          = each.value.display_name
  resource_group_name   = var.context.resource_group_name
  api_management_name   = azurerm_api_management.main.name
  published             = true
  subscription_required = true
  approval_required     = true
  subscriptions_limit   = 100
}

resource "azurerm_api_management_product_api" "main" {
  for_each = local.openings

  product_id          = azurerm_api_management_product.main[each.value.product].product_id
  api_name            = local.apis[each.value.api]
  resource_group_name = var.context.resource_group_name
  api_management_name = azurerm_api_management.main.name
}

resource "azurerm_api_management_product_policy" "main" {
  for_each = local.product_policies

  product_id          = azurerm_api_management_product.main[each.key].product_id
  resource_group_name = var.context.resource_group_name
  api_management_name = azurerm_api_management.main.name
  xml_content         = each.value

  lifecycle {
    precondition {
      condition     = each.key == "client" || strcontains(each.value, lookup(var.product_conditions, each.key, ""))
      error_message = "policies/product.xml has no place for the operations that a product refuses."
    }
  }

  depends_on = [azurerm_api_management_named_value.main]
}
