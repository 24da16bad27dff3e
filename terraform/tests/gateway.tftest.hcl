# API Management: in the virtual network, with subscription keys, and without content in its logs.

mock_provider "azurerm" {
  source = "./tests/mocks"
}

variables {
  context  = { location = "westeurope", resource_group_name = "rg-mock", tags = {}, workspace_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.OperationalInsights/workspaces/log-mock" }
  network  = { subnet_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/virtualNetworks/vnet-mock/subnets/snet-gateway", endpoints_subnet_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/virtualNetworks/vnet-mock/subnets/snet-endpoints", virtual_network_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/virtualNetworks/vnet-mock" }
  identity = { id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-gateway", client_id = "00000000-0000-0000-0000-00000000c11e" }
  urls     = { audit = { primary = "https://audit.mock.example", northeurope = "https://audit.mock-north.example" }, auditor = {}, patient = { primary = "https://patient.mock.example/patient", northeurope = "https://patient.mock-north.example/patient" } }
  names = {
    gateway            = "apim-mock"
    endpoint           = "pe-mock-gateway"
    public_ip          = "pip-mock"
    domain_name_label  = "apim-mock"
    logger             = "application-insights"
    diagnostic_setting = "log-analytics"
  }
  additional_locations = []
  client_ip_ranges     = ["192.0.2.0/24", "198.51.100.7/32"]
  cors_origins         = []
  custom_domain        = null
  product_conditions = {
    client  = "context.Operation.Id == \"load-access-log\""
    auditor = "!(context.Api.Id != \"patient\" || context.Operation.Id == \"load-access-log\")"
  }
  documents = {
    audit = {
      openapi = "3.1.0"
      info    = { title = "Audit API", version = "1" }
      paths = {
        "/audit"                          = { get = { operationId = "search-records" } }
        "/audit/{id}"                     = { get = { operationId = "load-record" } }
        "/log/keys"                       = { get = { operationId = "load-log-keys", summary = "Load the keys", description = "Returns the keys." } }
        "/log/tile/*"                     = { get = { operationId = "load-tile", summary = "Load a tile", description = "Returns a tile." } }
        "/patient/{patientId}/access-log" = { get = { operationId = "load-access-log" } }
      }
    }
    patient = {
      openapi = "3.1.0"
      info    = { title = "Patient API", version = "1" }
      servers = [{ url = "/" }]
      paths = {
        "/patient"                   = { post = { operationId = "create-patient" } }
        "/patient/{patientId}/tests" = { get = { operationId = "load-tests" } }
      }
    }
  }
  entra        = null
  insights     = { id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Insights/components/appi-mock", connection_string = "InstrumentationKey=00000000-0000-0000-0000-00000000a112" }
  named_values = { key-vault-uri = "https://kv-mock.vault.azure.net" }
  policies = {
    global  = "<policies><inbound></inbound></policies>"
    product = "<policies><inbound><base /><rate-limit calls=\"{{calls-per-minute}}\" renewal-period=\"60\" /><quota calls=\"{{calls-per-day}}\" renewal-period=\"86400\" /><choose><when condition='@(\"{{require-on-behalf-of}}\" == \"true\")' /></choose></inbound></policies>"
    patient = "<policies><inbound>\n    <base />\n<set-backend-service base-url=\"{{patient-backend-url}}\" /><set-header name=\"x-audit-actor\"><value>@(context.Subscription.Id)</value></set-header></inbound></policies>"
    echo    = "<policies><inbound><base /><return-response /></inbound></policies>"
    auditor = "<policies><inbound><base /><set-backend-service base-url=\"{{auditor-backend-url}}\" /></inbound></policies>"
  }
  products = {
    client = { display_name = "Client", calls_per_minute = 600, calls_per_day = 200000, apis = ["patient", "echo"] }
    tester = { display_name = "Tester", calls_per_minute = 10, calls_per_day = 100, apis = ["echo"], require_on_behalf_of = true }
  }
  public_access_enabled = true
  publisher             = { name = "Mock", email = "mock@example.org" }
  sampling_percentage   = 100
  sku_name              = "Developer_1"
  zones                 = []
}

run "keys" {
  module {
    source = "./modules/gateway"
  }

  assert {
    condition     = azurerm_api_management.main.virtual_network_type == "External" && endswith(azurerm_api_management.main.virtual_network_configuration[0].subnet_id, "/snet-gateway") && azurerm_api_management.main.sku_name == "Developer_1"
    error_message = "API Management is in the virtual network, in external mode."
  }

  assert {
    condition     = azurerm_api_management.main.identity[0].type == "UserAssigned" && azurerm_api_management.main.identity[0].identity_ids == toset([var.identity.id])
    error_message = "API Management has the gateway's identity."
  }

  assert {
    condition     = azurerm_public_ip.main["gateway"].sku == "Standard" && azurerm_api_management.main.public_ip_address_id == azurerm_public_ip.main["gateway"].id
    error_message = "API Management has its own public address."
  }

  assert {
    condition = !anytrue([
      azurerm_api_management.main.security[0].backend_ssl30_enabled,
      azurerm_api_management.main.security[0].backend_tls10_enabled,
      azurerm_api_management.main.security[0].backend_tls11_enabled,
      azurerm_api_management.main.security[0].frontend_ssl30_enabled,
      azurerm_api_management.main.security[0].frontend_tls10_enabled,
      azurerm_api_management.main.security[0].frontend_tls11_enabled,
    ])
    error_message = "TLS 1.2 or later is used on both sides."
  }

  assert {
    condition = !anytrue([
      azurerm_api_management.main.security[0].triple_des_ciphers_enabled,
      azurerm_api_management.main.security[0].tls_ecdhe_ecdsa_with_aes128_cbc_sha_ciphers_enabled,
      azurerm_api_management.main.security[0].tls_ecdhe_ecdsa_with_aes256_cbc_sha_ciphers_enabled,
      azurerm_api_management.main.security[0].tls_ecdhe_rsa_with_aes128_cbc_sha_ciphers_enabled,
      azurerm_api_management.main.security[0].tls_ecdhe_rsa_with_aes256_cbc_sha_ciphers_enabled,
      azurerm_api_management.main.security[0].tls_rsa_with_aes128_cbc_sha256_ciphers_enabled,
      azurerm_api_management.main.security[0].tls_rsa_with_aes128_cbc_sha_ciphers_enabled,
      azurerm_api_management.main.security[0].tls_rsa_with_aes128_gcm_sha256_ciphers_enabled,
      azurerm_api_management.main.security[0].tls_rsa_with_aes256_cbc_sha256_ciphers_enabled,
      azurerm_api_management.main.security[0].tls_rsa_with_aes256_cbc_sha_ciphers_enabled,
      azurerm_api_management.main.security[0].tls_rsa_with_aes256_gcm_sha384_ciphers_enabled,
    ])
    error_message = "Old ciphers are off."
  }

  assert {
    condition     = azurerm_api_management_api.patient.subscription_required && azurerm_api_management_api.echo.subscription_required && alltrue([for product in azurerm_api_management_product.main : product.subscription_required && product.approval_required && product.published])
    error_message = "Every API and every product requires a subscription."
  }

  assert {
    condition     = azurerm_api_management_api.patient.protocols == toset(["https"]) && azurerm_api_management_api.echo.protocols == toset(["https"])
    error_message = "APIs are available over https only."
  }

  assert {
    condition     = alltrue([for api in [azurerm_api_management_api.patient, azurerm_api_management_api.echo] : api.subscription_key_parameter_names[0].header == "Ocp-Apim-Subscription-Key" && api.subscription_key_parameter_names[0].query == "subscription-key"])
    error_message = "A key is sent in Ocp-Apim-Subscription-Key or subscription-key."
  }

  assert {
    condition     = azurerm_api_management_api.patient.import[0].content_format == "openapi+json" && toset(keys(jsondecode(azurerm_api_management_api.patient.import[0].content_value).paths)) == toset(["/", "/{patientId}/tests", "/{patientId}/access-log"]) && azurerm_api_management_api.patient.path == "patient"
    error_message = "The patient API is imported, with its operations relative to its path."
  }

  assert {
    condition     = !can(jsondecode(azurerm_api_management_api.patient.import[0].content_value).servers) && azurerm_api_management_api.patient.service_url == "https://patient.mock.example/patient"
    error_message = "The backend of the patient API is the patient service, regardless of the OpenAPI document."
  }

  assert {
    condition     = azurerm_api_management_api.echo.path == "echo" && azurerm_api_management_api.echo.service_url == "http://echoapi.cloudapp.net/api" && azurerm_api_management_api_operation.retrieve_resource.method == "GET" && azurerm_api_management_api_operation.retrieve_resource.url_template == "/resource"
    error_message = "The Echo API has /echo/resource."
  }

  assert {
    condition     = { for key, opening in azurerm_api_management_product_api.main : key => opening.api_name } == { "client/patient" = "patient", "client/echo" = "echo", "tester/echo" = "echo" }
    error_message = "Each product includes its APIs, and none includes audit."
  }

  assert {
    condition     = azurerm_api_management_policy.main.xml_content == var.policies.global && azurerm_api_management_api_policy.patient.xml_content == var.policies.patient && azurerm_api_management_api_policy.echo.xml_content == var.policies.echo
    error_message = "Policies are the documents without changes."
  }

  assert {
    condition = (
      strcontains(azurerm_api_management_product_policy.main["client"].xml_content, "<rate-limit calls=\"{{calls-per-minute}}\"") &&
      strcontains(azurerm_api_management_product_policy.main["client"].xml_content, "<quota calls=\"{{calls-per-day}}\"") &&
      strcontains(azurerm_api_management_product_policy.main["tester"].xml_content, "<rate-limit calls=\"{{tester-calls-per-minute}}\"") &&
      strcontains(azurerm_api_management_product_policy.main["tester"].xml_content, "<quota calls=\"{{tester-calls-per-day}}\"")
    )
    error_message = "Each product has a rate limit and a quota of its own."
  }

  assert {
    condition = (
      strcontains(azurerm_api_management_product_policy.main["client"].xml_content, "\"{{require-on-behalf-of}}\"") &&
      strcontains(azurerm_api_management_product_policy.main["tester"].xml_content, "\"{{tester-require-on-behalf-of}}\"")
    )
    error_message = "Each product has headers of its own that it requires."
  }

  assert {
    condition = (
      strcontains(azurerm_api_management_api_policy.audit["audit"].xml_content, "base-url=\"{{audit-backend-url}}/audit\"") &&
      strcontains(azurerm_api_management_api_policy.audit["log"].xml_content, "base-url=\"{{audit-backend-url}}/log\"") &&
      strcontains(azurerm_api_management_api_operation_policy.access_log["/patient/{patientId}/access-log"].xml_content, "base-url=\"{{audit-backend-url}}/patient\"") &&
      azurerm_api_management_api_operation_policy.access_log["/patient/{patientId}/access-log"].operation_id == "load-access-log" &&
      toset(keys(jsondecode(azurerm_api_management_api.audit["audit"].import[0].content_value).paths)) == toset(["/", "/{id}"]) &&
      alltrue([for api in azurerm_api_management_api.audit : api.subscription_required])
    )
    error_message = "The audit service has the APIs audit and log, and the access log in the patient API."
  }

  assert {
    condition = length(azurerm_api_management_api.audit["log"].import) == 0 && { for id, operation in azurerm_api_management_api_operation.log : id => "${operation.api_name} ${operation.method} ${operation.url_template}" } == {
      load-log-keys = "log GET /keys"
      load-tile     = "log GET /tile/*"
    }
    error_message = "The API log has the operations of the OpenAPI document, with the wildcard that an import would not take."
  }

  assert {
    condition = { for name, value in azurerm_api_management_named_value.main : name => nonsensitive(value.value) } == {
      audit-backend-url             = "https://audit.mock.example"
      calls-per-day                 = "200000"
      calls-per-minute              = "600"
      key-vault-uri                 = "https://kv-mock.vault.azure.net"
      patient-backend-url           = "https://patient.mock.example/patient"
      require-on-behalf-of          = "false"
      require-purpose-of-use        = "false"
      tester-calls-per-day          = "100"
      tester-calls-per-minute       = "10"
      tester-require-on-behalf-of   = "true"
      tester-require-purpose-of-use = "false"
    } && !anytrue([for value in azurerm_api_management_named_value.main : value.secret])
    error_message = "Named values hold what differs between environments, and none is secret."
  }

  assert {
    condition = alltrue([
      for diagnostic in azurerm_api_management_diagnostic.main :
      [for parameter in concat(diagnostic.frontend_request[0].data_masking[0].query_params, diagnostic.backend_request[0].data_masking[0].query_params) : "${parameter.mode} ${parameter.value}"] == ["Hide *", "Hide *"]
    ]) && toset(keys(azurerm_api_management_diagnostic.main)) == toset(["applicationinsights", "azuremonitor"])
    error_message = "Diagnostics mask query parameters."
  }

  assert {
    condition = alltrue([
      for diagnostic in azurerm_api_management_diagnostic.main : alltrue([
        for part in concat(diagnostic.frontend_request, diagnostic.frontend_response, diagnostic.backend_request, diagnostic.backend_response) : part.body_bytes == 0 && length(part.headers_to_log) == 0
      ]) && !diagnostic.log_client_ip && diagnostic.verbosity == "information"
    ])
    error_message = "Diagnostics contain no bodies, headers or client addresses."
  }

  assert {
    condition     = azurerm_api_management_diagnostic.main["applicationinsights"].http_correlation_protocol == "W3C" && azurerm_api_management_diagnostic.main["applicationinsights"].always_log_errors && azurerm_api_management_diagnostic.main["applicationinsights"].operation_name_format == "Name"
    error_message = "Traces use W3C trace context, and are named by operation."
  }

  assert {
    condition     = azurerm_api_management_logger.insights.application_insights[0].identity_client_id == var.identity.client_id
    error_message = "The gateway sends telemetry with its identity."
  }

  assert {
    condition     = [for log in azurerm_monitor_diagnostic_setting.main.enabled_log : log.category] == ["GatewayLogs"] && endswith(azurerm_monitor_diagnostic_setting.main.log_analytics_workspace_id, "/log-mock") && azurerm_monitor_diagnostic_setting.main.log_analytics_destination_type == "Dedicated"
    error_message = "Requests are logged in Log Analytics."
  }

  assert {
    condition     = length(azurerm_api_management.main.hostname_configuration) == 0 && azurerm_api_management.main.identity[0].type == "UserAssigned" && length(azurerm_api_management.main.additional_location) == 0 && length(coalesce(azurerm_api_management.main.zones, [])) == 0 && output.url == "https://apim-mock.azure-api.net"
    error_message = "Custom domain, regions and availability zones are optional."
  }

  assert {
    condition     = length(azurerm_api_management_api.auditor) == 0 && length(azurerm_api_management_api_operation.auditor) == 0 && length(azurerm_api_management_api_policy.auditor) == 0
    error_message = "The auditor's page is optional."
  }
}

run "origins" {
  module {
    source = "./modules/gateway"
  }

  variables {
    cors_origins = ["https://a.example", "https://b.example:8443"]
    policies = {
      global  = file("policies/global.xml")
      product = "<policies />"
      patient = "<policies />"
      echo    = "<policies />"
      auditor = "<policies />"
    }
  }

  assert {
    condition     = strcontains(azurerm_api_management_policy.main.xml_content, "<origin>https://a.example</origin><origin>https://b.example:8443</origin>") && !strcontains(azurerm_api_management_policy.main.xml_content, "cors-origins}}")
    error_message = "Each allowed origin is in the cors statement, and no other."
  }
}

run "no_origins" {
  module {
    source = "./modules/gateway"
  }

  variables {
    policies = {
      global  = file("policies/global.xml")
      product = "<policies />"
      patient = "<policies />"
      echo    = "<policies />"
      auditor = "<policies />"
    }
  }

  assert {
    condition     = !strcontains(azurerm_api_management_policy.main.xml_content, "<cors") && !strcontains(azurerm_api_management_policy.main.xml_content, "<origin>") && strcontains(azurerm_api_management_policy.main.xml_content, "<set-header name=\"x-functions-key\" exists-action=\"delete\" />")
    error_message = "Without allowed origins there is no cors statement, and all else stays."
  }
}

run "a_policy_without_a_place_for_origins_is_refused" {
  command = plan

  module {
    source = "./modules/gateway"
  }

  variables {
    cors_origins = ["https://a.example"]
    policies     = { global = "<policies />", product = "<policies />", patient = "<policies />", echo = "<policies />", auditor = "<policies />" }
  }

  expect_failures = [azurerm_api_management_policy.main]
}

run "tokens_beside_keys" {
  module {
    source = "./modules/gateway"
  }

  variables {
    entra = { tenant_id = "00000000-0000-0000-0000-000000007e4a", audience = "api://patients", client_application_ids = ["00000000-0000-0000-0000-00000000c11f"], replaces_keys = false }
  }

  assert {
    condition     = strcontains(azurerm_api_management_api_policy.patient.xml_content, "<base />\n<validate-azure-ad-token tenant-id=\"00000000-0000-0000-0000-000000007e4a\"") && strcontains(azurerm_api_management_api_policy.patient.xml_content, "<application-id>00000000-0000-0000-0000-00000000c11f</application-id>") && strcontains(azurerm_api_management_api_policy.patient.xml_content, "<audience>api://patients</audience>")
    error_message = "Tokens are validated before anything else."
  }

  assert {
    condition     = azurerm_api_management_api.patient.subscription_required && strcontains(azurerm_api_management_api_policy.patient.xml_content, "@(context.Subscription.Id)") && !strcontains(azurerm_api_management_api_policy.patient.xml_content, "by-key")
    error_message = "With tokens, keys are still required."
  }
}

run "tokens_instead_of_keys" {
  module {
    source = "./modules/gateway"
  }

  variables {
    entra = { tenant_id = "00000000-0000-0000-0000-000000007e4a", audience = "api://patients", client_application_ids = ["00000000-0000-0000-0000-00000000c11f"], replaces_keys = true }
  }

  assert {
    condition     = !azurerm_api_management_api.patient.subscription_required && strcontains(azurerm_api_management_api_policy.patient.xml_content, "<validate-azure-ad-token ") && length(azurerm_api_management_api_operation_policy.access_log) == 0 && azurerm_api_management_api.audit["audit"].subscription_required
    error_message = "Tokens replace keys."
  }

  assert {
    condition     = strcontains(azurerm_api_management_api_policy.patient.xml_content, "<rate-limit-by-key calls=\"{{calls-per-minute}}\"") && strcontains(azurerm_api_management_api_policy.patient.xml_content, "<quota-by-key calls=\"{{calls-per-day}}\"")
    error_message = "Limits apply to each application."
  }

  assert {
    condition     = !strcontains(azurerm_api_management_api_policy.patient.xml_content, "context.Subscription") && strcontains(azurerm_api_management_api_policy.patient.xml_content, "<value>@(((Jwt)context.Variables[\"token\"]).Claims.GetValueOrDefault(\"azp\", ((Jwt)context.Variables[\"token\"]).Claims.GetValueOrDefault(\"appid\", \"\")))</value>")
    error_message = "The actor in audit records is the application."
  }
}

run "a_policy_without_a_place_for_tokens_is_refused" {
  command = plan

  module {
    source = "./modules/gateway"
  }

  variables {
    entra    = { tenant_id = "00000000-0000-0000-0000-000000007e4a", audience = "api://patients", client_application_ids = ["00000000-0000-0000-0000-00000000c11f"], replaces_keys = false }
    policies = { global = "<policies />", product = "<policies />", patient = "<policies />", echo = "<policies />", auditor = "<policies />" }
  }

  expect_failures = [azurerm_api_management_api_policy.patient]
}

run "regions_zones_and_a_domain" {
  module {
    source = "./modules/gateway"
  }

  variables {
    additional_locations = [{
      location          = "northeurope"
      name              = "North Europe"
      subnet_id         = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock-north/providers/Microsoft.Network/virtualNetworks/vnet-mock/subnets/snet-gateway"
      zones             = ["1", "2", "3"]
      resource_group    = "rg-mock-north"
      public_ip_name    = "pip-mock-north"
      domain_name_label = "apim-mock-north"
    }]
    custom_domain = { host_name = "api.example.org", secret_id = "https://kv-mock.vault.azure.net/secrets/certificate", scope = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.KeyVault/vaults/kv-mock/secrets/certificate", bound = true }
    sku_name      = "Premium_3"
    zones         = ["1", "2", "3"]
  }

  assert {
    condition     = azurerm_api_management.main.additional_location[0].location == "northeurope" && strcontains(azurerm_api_management.main.additional_location[0].virtual_network_configuration[0].subnet_id, "/rg-mock-north/") && length(coalesce(azurerm_api_management.main.additional_location[0].zones, [])) == 0 && azurerm_public_ip.additional["northeurope"].zones == toset(["1", "2", "3"])
    error_message = "Each region has a gateway in its own network."
  }

  assert {
    condition     = length(coalesce(azurerm_api_management.main.zones, [])) == 0 && azurerm_public_ip.main["gateway"].zones == toset(["1", "2", "3"])
    error_message = "API Management spreads any number of units over the zones itself; its address is in all of them."
  }

  assert {
    condition     = azurerm_api_management.main.hostname_configuration[0].proxy[0].host_name == "api.example.org" && azurerm_api_management.main.hostname_configuration[0].proxy[0].key_vault_certificate_id == "https://kv-mock.vault.azure.net/secrets/certificate" && azurerm_api_management.main.hostname_configuration[0].proxy[0].ssl_keyvault_identity_client_id == null && azurerm_api_management.main.identity[0].type == "SystemAssigned, UserAssigned" && azurerm_role_assignment.certificate["gateway"].scope == var.custom_domain.scope && azurerm_role_assignment.certificate["gateway"].principal_id == azurerm_api_management.main.identity[0].principal_id && output.url == "https://api.example.org"
    error_message = "The gateway has its custom host name, with a certificate in the vault that is renewed automatically."
  }

  assert {
    condition = (
      strcontains(azurerm_api_management_api_policy.patient.xml_content, "<when condition='@(context.Deployment.Region == \"North Europe\")'>\n<set-backend-service base-url=\"{{patient-backend-url-northeurope}}\" />\n</when>\n<otherwise>\n<set-backend-service base-url=\"{{patient-backend-url}}\" />") &&
      nonsensitive(azurerm_api_management_named_value.main["patient-backend-url-northeurope"].value) == "https://patient.mock-north.example/patient"
    )
    error_message = "Each gateway calls the services of its own region."
  }
}

run "a_domain_before_its_certificate_can_be_read" {
  module {
    source = "./modules/gateway"
  }

  variables {
    custom_domain = { host_name = "api.example.org", secret_id = "https://kv-mock.vault.azure.net/secrets/certificate", scope = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.KeyVault/vaults/kv-mock/secrets/certificate", bound = false }
  }

  assert {
    condition     = length(azurerm_api_management.main.hostname_configuration) == 0 && azurerm_role_assignment.certificate["gateway"].scope == var.custom_domain.scope && output.url == "https://apim-mock.azure-api.net"
    error_message = "The gateway gets access to the certificate before it uses it."
  }
}

run "classic" {
  module {
    source = "./modules/gateway"
  }

  assert {
    condition     = length(azurerm_private_endpoint.main) == 0 && length(azurerm_private_dns_zone.main) == 0 && !strcontains(azurerm_api_management_policy.main.xml_content, "ip-filter")
    error_message = "In a classic tier, security rules admit clients, and there is no private endpoint."
  }
}

run "standard_v2" {
  module {
    source = "./modules/gateway"
  }

  variables {
    sku_name = "StandardV2_2"
  }

  assert {
    condition     = azurerm_api_management.main.virtual_network_type == "External" && endswith(azurerm_api_management.main.virtual_network_configuration[0].subnet_id, "/snet-gateway") && azurerm_api_management.main.public_ip_address_id == null && length(azurerm_public_ip.main) == 0
    error_message = "Standard v2 calls the services through the virtual network, and has no address of its own."
  }

  assert {
    condition     = azurerm_private_endpoint.main["gateway"].private_service_connection[0].private_connection_resource_id == azurerm_api_management.main.id && azurerm_private_endpoint.main["gateway"].private_service_connection[0].subresource_names == tolist(["Gateway"]) && endswith(azurerm_private_endpoint.main["gateway"].subnet_id, "/snet-endpoints") && azurerm_private_dns_zone.main["gateway"].name == "privatelink.azure-api.net" && azurerm_private_dns_zone_virtual_network_link.main["gateway"].virtual_network_id == var.network.virtual_network_id && azurerm_private_endpoint.main["gateway"].private_dns_zone_group[0].private_dns_zone_ids[0] == azurerm_private_dns_zone.main["gateway"].id
    error_message = "In the virtual network, the name of the gateway resolves to its private endpoint."
  }

  assert {
    condition     = azurerm_api_management.main.public_network_access_enabled && strcontains(azurerm_api_management_policy.main.xml_content, "<inbound>\n<choose>\n<when condition='@(context.Request.PrivateEndpointConnection == null)'>\n<ip-filter action=\"allow\">\n<address-range from=\"192.0.2.0\" to=\"192.0.2.255\" />\n<address-range from=\"198.51.100.7\" to=\"198.51.100.7\" />\n</ip-filter>\n</when>\n</choose>")
    error_message = "From the internet, only the addresses of clients are admitted, before any other policy."
  }

  assert {
    condition     = length(azurerm_api_management.main.sign_up) == 0 && length(azurerm_api_management.main.security) == 0 && length(azurerm_api_management.main.protocols) == 0
    error_message = "Settings that the v2 tiers lack are not sent."
  }
}

run "standard_v2_without_clients" {
  module {
    source = "./modules/gateway"
  }

  variables {
    client_ip_ranges      = []
    public_access_enabled = false
    sku_name              = "StandardV2_1"
  }

  assert {
    condition     = !azurerm_api_management.main.public_network_access_enabled && strcontains(azurerm_api_management_policy.main.xml_content, "<return-response><set-status code=\"403\" reason=\"Forbidden\" /></return-response>") && !strcontains(azurerm_api_management_policy.main.xml_content, "ip-filter")
    error_message = "Without addresses of clients, there is no access from the internet."
  }
}

run "premium_v2" {
  module {
    source = "./modules/gateway"
  }

  variables {
    sku_name = "PremiumV2_1"
  }

  assert {
    condition     = azurerm_api_management.main.virtual_network_type == "Internal" && endswith(azurerm_api_management.main.virtual_network_configuration[0].subnet_id, "/snet-gateway") && length(azurerm_public_ip.main) == 0 && length(azurerm_private_endpoint.main) == 0 && !strcontains(azurerm_api_management_policy.main.xml_content, "PrivateEndpointConnection")
    error_message = "Premium v2 is in the virtual network only, where security rules admit clients."
  }
}

run "a_policy_without_a_place_for_the_filter_is_refused" {
  command = plan

  module {
    source = "./modules/gateway"
  }

  variables {
    sku_name = "StandardV2_1"
    policies = { global = "<policies />", product = "<policies />", patient = "<policies />", echo = "<policies />", auditor = "<policies />" }
  }

  expect_failures = [azurerm_api_management_policy.main]
}

run "no_edge" {
  module {
    source = "./modules/gateway"
  }

  variables {
    policies           = { global = file("./policies/global.xml"), product = "<policies><inbound><rate-limit calls=\"{{calls-per-minute}}\" /></inbound></policies>", patient = file("./policies/patient.xml"), echo = "<policies />", auditor = "<policies />" }
    product_conditions = { client = "" }
  }

  assert {
    condition     = !strcontains(azurerm_api_management_policy.main.xml_content, "name=\"client-address\"") && !strcontains(azurerm_api_management_policy.main.xml_content, "X-Azure") && strcontains(azurerm_api_management_api_policy.patient.xml_content, "@(context.Request.IpAddress)") && azurerm_api_management.main.virtual_network_type == "External"
    error_message = "Without an edge, the gateway believes no header."
  }
}

run "behind_front_door" {
  module {
    source = "./modules/gateway"
  }

  variables {
    policies           = { global = file("./policies/global.xml"), product = "<policies><inbound><rate-limit calls=\"{{calls-per-minute}}\" /></inbound></policies>", patient = file("./policies/patient.xml"), echo = "<policies />", auditor = "<policies />" }
    product_conditions = { client = "" }
    edge               = { kind = "front_door", front_door_id = "00000000-0000-0000-0000-00000000afd1" }
  }

  assert {
    condition     = strcontains(azurerm_api_management_policy.main.xml_content, "<set-variable name=\"client-address\" value='@(context.Request.Headers.GetValueOrDefault(\"X-Azure-SocketIP\", \"\").Split(\",\".ToCharArray()).Last().Trim())' />") && alltrue([for policy in concat([azurerm_api_management_api_policy.patient], values(azurerm_api_management_api_policy.audit), values(azurerm_api_management_api_operation_policy.access_log)) : strcontains(policy.xml_content, "@((string)context.Variables[\"client-address\"])") && !strcontains(policy.xml_content, "context.Request.IpAddress")])
    error_message = "The register has the address that the edge reports, not that of the edge, and the last one of several."
  }

  assert {
    condition     = alltrue([for header in ["X-Azure-FDID", "X-Azure-SocketIP", "X-Azure-ClientIP"] : strcontains(azurerm_api_management_policy.main.xml_content, "<set-header name=\"${header}\" exists-action=\"delete\" />")])
    error_message = "Services do not get the headers of the edge."
  }

  assert {
    condition     = can(regex("(?s)<inbound>\\s*<check-header name=\"X-Azure-FDID\" failed-check-httpcode=\"403\"[^>]*>\\s*<value>\\{\\{front-door-id\\}\\}</value>\\s*</check-header>", azurerm_api_management_policy.main.xml_content)) && azurerm_api_management_named_value.main["front-door-id"].value == "00000000-0000-0000-0000-00000000afd1"
    error_message = "First of all, calls that do not come from this Front Door are refused."
  }

  assert {
    condition     = azurerm_api_management.main.virtual_network_type == "External"
    error_message = "Front Door reaches the gateway by its public address."
  }
}

run "behind_an_application_gateway" {
  module {
    source = "./modules/gateway"
  }

  variables {
    policies           = { global = file("./policies/global.xml"), product = "<policies><inbound><rate-limit calls=\"{{calls-per-minute}}\" /></inbound></policies>", patient = file("./policies/patient.xml"), echo = "<policies />", auditor = "<policies />" }
    product_conditions = { client = "" }
    edge               = { kind = "application_gateway", subnet_prefix = "10.1.0.128/27" }
  }

  assert {
    condition     = strcontains(azurerm_api_management_policy.main.xml_content, "<set-variable name=\"client-address\" value='@(context.Request.Headers.GetValueOrDefault(\"X-Azure-SocketIP\", \"\").Split(\",\".ToCharArray()).Last().Trim())' />") && alltrue([for policy in concat([azurerm_api_management_api_policy.patient], values(azurerm_api_management_api_policy.audit), values(azurerm_api_management_api_operation_policy.access_log)) : strcontains(policy.xml_content, "@((string)context.Variables[\"client-address\"])") && !strcontains(policy.xml_content, "context.Request.IpAddress")])
    error_message = "The register has the address that the edge reports, not that of the edge, and the last one of several."
  }

  assert {
    condition     = alltrue([for header in ["X-Azure-FDID", "X-Azure-SocketIP", "X-Azure-ClientIP"] : strcontains(azurerm_api_management_policy.main.xml_content, "<set-header name=\"${header}\" exists-action=\"delete\" />")])
    error_message = "Services do not get the headers of the edge."
  }

  assert {
    condition     = can(regex("(?s)<inbound>\\s*<ip-filter action=\"allow\">\\s*<address-range from=\"10.1.0.128\" to=\"10.1.0.159\" />", azurerm_api_management_policy.main.xml_content))
    error_message = "First of all, calls from outside of the subnet of the Application Gateway are refused."
  }

  assert {
    condition     = azurerm_api_management.main.virtual_network_type == "Internal" && !contains(keys(azurerm_api_management_named_value.main), "front-door-id")
    error_message = "The gateway has an address in the network only."
  }
}

run "a_policy_without_a_place_for_the_address_of_the_client" {
  command = plan

  module {
    source = "./modules/gateway"
  }

  variables {
    edge     = { kind = "front_door", front_door_id = "00000000-0000-0000-0000-00000000afd1" }
    policies = { global = "<policies><inbound><base /></inbound></policies>", product = "<policies />", patient = "<policies><inbound><base /></inbound></policies>", echo = "<policies />", auditor = "<policies />" }
  }

  expect_failures = [azurerm_api_management_policy.main]
}

run "the_page_of_auditors" {
  module {
    source = "./modules/gateway"
  }

  variables {
    urls = merge(var.urls, { auditor = { primary = "https://auditor.mock.example/auditor" } })
  }

  assert {
    condition     = azurerm_api_management_api.auditor["primary"].path == "auditor" && azurerm_api_management_api.auditor["primary"].protocols == toset(["https"]) && !azurerm_api_management_api.auditor["primary"].subscription_required && !contains([for opening in azurerm_api_management_product_api.main : opening.api_name], "auditor")
    error_message = "The auditor's page is reached over https, without a key and without a product."
  }

  assert {
    condition     = toset([for operation in azurerm_api_management_api_operation.auditor : "${operation.api_name} ${operation.method} ${operation.url_template}"]) == toset(["auditor GET /*", "auditor POST /*"])
    error_message = "Every path of the page can be read and posted to, and nothing else."
  }

  assert {
    condition     = azurerm_api_management_api_policy.auditor["primary"].xml_content == var.policies.auditor && azurerm_api_management_api.auditor["primary"].service_url == "https://auditor.mock.example/auditor" && nonsensitive(azurerm_api_management_named_value.main["auditor-backend-url"].value) == "https://auditor.mock.example/auditor"
    error_message = "The backend of the page is its app, as the policy names it."
  }
}

run "the_page_of_auditors_in_each_region" {
  module {
    source = "./modules/gateway"
  }

  variables {
    urls = merge(var.urls, { auditor = { primary = "https://auditor.mock.example/auditor", northeurope = "https://auditor.mock-north.example/auditor" } })
    additional_locations = [{
      location          = "northeurope"
      name              = "North Europe"
      subnet_id         = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock-north/providers/Microsoft.Network/virtualNetworks/vnet-mock/subnets/snet-gateway"
      zones             = []
      resource_group    = "rg-mock-north"
      public_ip_name    = "pip-mock-north"
      domain_name_label = "apim-mock-north"
    }]
    sku_name = "Premium_1"
  }

  assert {
    condition = (
      strcontains(azurerm_api_management_api_policy.auditor["primary"].xml_content, "<when condition='@(context.Deployment.Region == \"North Europe\")'>\n<set-backend-service base-url=\"{{auditor-backend-url-northeurope}}\" />\n</when>\n<otherwise>\n<set-backend-service base-url=\"{{auditor-backend-url}}\" />") &&
      nonsensitive(azurerm_api_management_named_value.main["auditor-backend-url-northeurope"].value) == "https://auditor.mock-north.example/auditor"
    )
    error_message = "Each gateway calls the page of its own region."
  }
}

run "a_policy_without_a_place_for_the_regions_of_the_page_is_refused" {
  command = plan

  module {
    source = "./modules/gateway"
  }

  variables {
    urls = merge(var.urls, { auditor = { primary = "https://auditor.mock.example/auditor", northeurope = "https://auditor.mock-north.example/auditor" } })
  }

  expect_failures = [azurerm_api_management_api_policy.auditor]
}
