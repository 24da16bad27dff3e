# The Container Apps environment, its apps and its jobs.

mock_provider "azurerm" {
  source = "./tests/mocks"
}

variables {
  context = {
    location            = "westeurope"
    resource_group_name = "rg-mock"
    tags                = {}
    workspace_id        = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.OperationalInsights/workspaces/log-mock"
    # Of a single app
    environment_id  = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.App/managedEnvironments/cae-mock"
    registry_server = "crmock.azurecr.io"
  }
  names = { environment = "cae-mock", infrastructure_resource_group = "rg-mock-infrastructure" }
  apps = {
    patient = {
      image            = "crmock.azurecr.io/patient@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
      identity_id      = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-patient"
      external_enabled = true
      allowed_ranges   = ["10.1.0.32/27"]
      container        = { cpu = 0.5, memory = "1Gi" }
      settings         = { KEY_VAULT_URI = "https://kv-mock.vault.azure.net/" }
    }
    audit = {
      image            = "crmock.azurecr.io/audit@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
      identity_id      = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-audit"
      external_enabled = false
      allowed_ranges   = ["10.1.0.0/27", "100.100.0.0/16"]
      container        = { cpu = 0.5, memory = "1Gi" }
      settings         = { KEY_VAULT_URI = "https://kv-mock.vault.azure.net/" }
    }
  }
  jobs = {
    rotation = {
      image              = "crmock.azurecr.io/rotation@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
      identity_id        = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-rotation"
      schedule           = "17 3 * * *"
      timeout_in_seconds = 3600
      retries            = 1
      args               = ["--all", "--older-than", "60"]
      container          = { cpu = 0.25, memory = "0.5Gi" }
      settings           = { KEY_VAULT_URI = "https://kv-mock.vault.azure.net/" }
      secrets            = {}
    }
    load-test = {
      image              = "crmock.azurecr.io/k6@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
      identity_id        = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-load"
      schedule           = null
      timeout_in_seconds = 3600
      retries            = 0
      args               = ["run", "/k6/load.ts"]
      container          = { cpu = 2, memory = "4Gi" }
      settings           = { BASE_URL = "https://apim-mock.azure-api.net" }
      secrets            = { SUBSCRIPTION_KEY = "https://kv-mock.vault.azure.net/secrets/load-test" }
    }
  }
  registry_server    = "crmock.azurecr.io"
  scale              = { min_replicas = 0, max_replicas = 10, concurrent_requests = 50 }
  subnet_id          = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/virtualNetworks/vnet-mock/subnets/snet-environment"
  virtual_network_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/virtualNetworks/vnet-mock"
  zone_redundant     = false
}

run "environment_and_jobs" {
  variables {
    resolver_network_ids = ["/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub"]
  }

  module {
    source = "./modules/apps"
  }

  assert {
    condition     = azurerm_container_app_environment.main.internal_load_balancer_enabled && azurerm_container_app_environment.main.public_network_access == "Disabled" && endswith(azurerm_container_app_environment.main.infrastructure_subnet_id, "/snet-environment")
    error_message = "The environment is internal, in its own subnet."
  }

  assert {
    condition     = [for profile in azurerm_container_app_environment.main.workload_profile : "${profile.name} ${profile.workload_profile_type}"] == ["Consumption Consumption"]
    error_message = "The environment has the workload profile Consumption."
  }

  assert {
    condition     = azurerm_container_app_environment.main.logs_destination == "azure-monitor" && azurerm_monitor_diagnostic_setting.main.target_resource_id == azurerm_container_app_environment.main.id && endswith(azurerm_monitor_diagnostic_setting.main.log_analytics_workspace_id, "/log-mock") && toset([for log in azurerm_monitor_diagnostic_setting.main.enabled_log : log.category]) == toset(["ContainerAppConsoleLogs", "ContainerAppSystemLogs"])
    error_message = "Logs of containers and of the platform go to Log Analytics, without a key."
  }

  assert {
    condition     = azurerm_container_app_environment.main.mutual_tls_enabled
    error_message = "Traffic between apps is encrypted."
  }

  assert {
    condition     = azurerm_private_dns_zone.main.name == azurerm_container_app_environment.main.default_domain && azurerm_private_dns_a_record.main.name == "*" && azurerm_private_dns_a_record.main.records == toset([azurerm_container_app_environment.main.static_ip_address]) && azurerm_private_dns_a_record.main.private_dns_zone_id == azurerm_private_dns_zone.main.id
    error_message = "All names in the domain of the environment resolve to its address."
  }

  assert {
    condition     = tolist([for link in azurerm_private_dns_zone_virtual_network_link.resolver : link.virtual_network_id]) == var.resolver_network_ids && azurerm_private_dns_zone_virtual_network_link.resolver[var.resolver_network_ids[0]].name == "rg-hub-vnet-hub"
    error_message = "The DNS servers of a hub know the apps."
  }

  assert {
    condition     = azurerm_private_dns_zone_virtual_network_link.main.virtual_network_id == var.virtual_network_id && !azurerm_private_dns_zone_virtual_network_link.main.registration_enabled
    error_message = "The virtual network resolves these names."
  }

  assert {
    condition     = output.urls == { patient = "https://patient.mock-0123abcd.westeurope.azurecontainerapps.io", audit = "https://audit.internal.mock-0123abcd.westeurope.azurecontainerapps.io" }
    error_message = "The host name of an app that is not external contains internal."
  }

  assert {
    condition     = azurerm_container_app_job.main["rotation"].schedule_trigger_config[0].cron_expression == "17 3 * * *" && azurerm_container_app_job.main["rotation"].schedule_trigger_config[0].parallelism == 1 && length(azurerm_container_app_job.main["rotation"].manual_trigger_config) == 0
    error_message = "Rotation runs on its schedule, one run at a time."
  }

  assert {
    condition     = azurerm_container_app_job.main["rotation"].template[0].container[0].args == tolist(["--all", "--older-than", "60"]) && strcontains(azurerm_container_app_job.main["rotation"].template[0].container[0].image, "/rotation@sha256:")
    error_message = "Rotation runs the command of the project."
  }

  assert {
    condition     = alltrue([for job in azurerm_container_app_job.main : job.identity[0].type == "UserAssigned" && job.registry[0].identity == one(job.identity[0].identity_ids) && job.registry[0].server == "crmock.azurecr.io"]) && endswith(one(azurerm_container_app_job.main["rotation"].identity[0].identity_ids), "/id-rotation")
    error_message = "A job uses its own identity to pull its image and to read the vault."
  }

  assert {
    condition     = length(azurerm_container_app_job.main["rotation"].secret) == 0 && alltrue([for setting in azurerm_container_app_job.main["rotation"].template[0].container[0].env : setting.secret_name == null || setting.secret_name == ""])
    error_message = "No setting of rotation contains a secret."
  }

  assert {
    condition     = length(azurerm_container_app_job.main["load-test"].manual_trigger_config) == 1 && length(azurerm_container_app_job.main["load-test"].schedule_trigger_config) == 0
    error_message = "The load test is started by hand."
  }

  assert {
    condition     = [for secret in azurerm_container_app_job.main["load-test"].secret : "${secret.name} ${secret.key_vault_secret_id} ${basename(secret.identity)}"] == ["subscription-key https://kv-mock.vault.azure.net/secrets/load-test id-load"]
    error_message = "The load test reads its key from the vault with its own identity."
  }
}

run "patient" {
  module {
    source = "./modules/apps/app"
  }

  variables {
    name             = "patient"
    image            = var.apps.patient.image
    identity_id      = var.apps.patient.identity_id
    external_enabled = true
    allowed_ranges   = ["10.1.0.32/27", "10.2.0.32/27"]
    container        = { cpu = 0.5, memory = "1Gi" }
    settings         = { KEY_VAULT_URI = "https://kv-mock.vault.azure.net/", DATABASE_NAME = "patient" }
  }

  assert {
    condition     = azurerm_container_app.main.template[0].min_replicas == 0 && azurerm_container_app.main.template[0].max_replicas == 10
    error_message = "An app scales to zero."
  }

  assert {
    condition     = [for rule in azurerm_container_app.main.template[0].http_scale_rule : rule.concurrent_requests] == ["50"]
    error_message = "An app scales by concurrent requests."
  }

  assert {
    condition     = azurerm_container_app.main.ingress[0].external_enabled && !azurerm_container_app.main.ingress[0].allow_insecure_connections && azurerm_container_app.main.ingress[0].target_port == 8080
    error_message = "The ingress is external if configured, and accepts https only."
  }

  assert {
    condition     = [for rule in azurerm_container_app.main.ingress[0].ip_security_restriction : "${rule.action} ${rule.ip_address_range}"] == ["Allow 10.1.0.32/27", "Allow 10.2.0.32/27"]
    error_message = "The ingress has a list of Allow rules and no Deny rule."
  }

  assert {
    condition     = length(azurerm_container_app.main.ingress[0].traffic_weight) == 1 && azurerm_container_app.main.ingress[0].traffic_weight[0].latest_revision && azurerm_container_app.main.ingress[0].traffic_weight[0].percentage == 100
    error_message = "All traffic goes to the newest revision."
  }

  assert {
    condition     = azurerm_container_app.main.template[0].container[0].liveness_probe[0].path == "/health/live" && azurerm_container_app.main.template[0].container[0].startup_probe[0].path == "/health/live" && azurerm_container_app.main.template[0].container[0].readiness_probe[0].path == "/health/ready"
    error_message = "Probes request the health routes."
  }

  assert {
    condition     = alltrue([for probe in concat(azurerm_container_app.main.template[0].container[0].liveness_probe, azurerm_container_app.main.template[0].container[0].startup_probe, azurerm_container_app.main.template[0].container[0].readiness_probe) : probe.port == 8080 && probe.transport == "HTTP" && probe.failure_count_threshold <= 10])
    error_message = "Probes use the port of the service and at most ten failures, the maximum of Container Apps."
  }

  assert {
    condition     = azurerm_container_app.main.template[0].container[0].cpu == 0.5 && azurerm_container_app.main.template[0].container[0].memory == "1Gi"
    error_message = "A replica has the configured CPU and memory."
  }

  assert {
    condition     = strcontains(azurerm_container_app.main.template[0].container[0].image, "@sha256:")
    error_message = "The image is referenced by digest."
  }

  assert {
    condition     = azurerm_container_app.main.identity[0].type == "UserAssigned" && azurerm_container_app.main.identity[0].identity_ids == toset([var.identity_id]) && azurerm_container_app.main.registry[0].identity == var.identity_id && azurerm_container_app.main.registry[0].server == "crmock.azurecr.io" && (azurerm_container_app.main.registry[0].password_secret_name == null || azurerm_container_app.main.registry[0].password_secret_name == "")
    error_message = "The image is pulled with the app's identity."
  }

  assert {
    condition     = length(azurerm_container_app.main.secret) == 0 && tomap({ for setting in azurerm_container_app.main.template[0].container[0].env : setting.name => setting.value }) == var.settings
    error_message = "Settings are those that are configured, and none is a secret."
  }

  assert {
    condition     = azurerm_container_app.main.workload_profile_name == "Consumption" && azurerm_container_app.main.revision_mode == "Single"
    error_message = "An app runs on the Consumption profile, in one revision."
  }

  assert {
    condition     = azurerm_container_app.main.template[0].termination_grace_period_seconds == 30
    error_message = "A replica has time to finish its requests."
  }
}

run "an_upgrade" {
  module {
    source = "./modules/apps/app"
  }

  variables {
    name              = "patient"
    image             = var.apps.patient.image
    identity_id       = var.apps.patient.identity_id
    external_enabled  = true
    allowed_ranges    = ["10.1.0.32/27"]
    container         = { cpu = 0.5, memory = "1Gi" }
    settings          = {}
    live_revision     = "abc1234"
    newest_percentage = 10
  }

  assert {
    condition     = azurerm_container_app.main.revision_mode == "Multiple" && azurerm_container_app.main.max_inactive_revisions >= 2
    error_message = "During an upgrade, the revision in use stays active."
  }

  assert {
    condition     = [for weight in azurerm_container_app.main.ingress[0].traffic_weight : "${weight.label} ${weight.latest_revision == true ? "newest" : coalesce(weight.revision_suffix, "none")} ${weight.percentage}"] == ["live abc1234 90", "candidate newest 10"]
    error_message = "The newest revision gets its percentage, and the named one the rest."
  }
}

run "an_app_with_a_scale_of_its_own_beside_an_upgrade" {
  module {
    source = "./modules/apps"
  }

  variables {
    apps = merge(var.apps, {
      auditor = {
        image            = "crmock.azurecr.io/auditor@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
        identity_id      = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-auditor"
        external_enabled = true
        allowed_ranges   = ["10.1.0.32/27"]
        container        = { cpu = 0.25, memory = "0.5Gi" }
        settings         = { KEY_VAULT_URI = "https://kv-mock.vault.azure.net/" }
        scale            = { min_replicas = 1, max_replicas = 2, concurrent_requests = 20 }
      }
    })
    upgrade = { live = { patient = "abc1234", audit = "def5678" }, percentage = 10 }
  }

  assert {
    condition     = local.scales == { audit = var.scale, auditor = var.apps.auditor.scale, patient = var.scale }
    error_message = "An app without a scale of its own has that of the environment."
  }

  assert {
    condition     = local.upgrades == { audit = { live = "def5678", percentage = 10 }, auditor = { live = null, percentage = 100 }, patient = { live = "abc1234", percentage = 10 } }
    error_message = "An app that is not part of the upgrade is replaced."
  }
}

run "less_than_all_traffic_outside_of_an_upgrade" {
  command = plan

  module {
    source = "./modules/apps/app"
  }

  variables {
    name              = "patient"
    image             = var.apps.patient.image
    identity_id       = var.apps.patient.identity_id
    external_enabled  = true
    allowed_ranges    = ["10.1.0.32/27"]
    container         = { cpu = 0.5, memory = "1Gi" }
    settings          = {}
    newest_percentage = 10
  }

  expect_failures = [var.newest_percentage]
}

run "a_setting_with_a_credential_is_refused" {
  command = plan

  module {
    source = "./modules/apps/app"
  }

  variables {
    name             = "patient"
    image            = var.apps.patient.image
    identity_id      = var.apps.patient.identity_id
    external_enabled = true
    allowed_ranges   = ["10.1.0.32/27"]
    container        = { cpu = 0.5, memory = "1Gi" }
    settings         = { DATABASE_URI = "mongodb://name:secret@cosmos-mock.mongo.cosmos.azure.com:10255/" }
  }

  expect_failures = [var.settings]
}

run "an_ingress_without_a_list_is_refused" {
  command = plan

  module {
    source = "./modules/apps/app"
  }

  variables {
    name             = "patient"
    image            = var.apps.patient.image
    identity_id      = var.apps.patient.identity_id
    external_enabled = true
    allowed_ranges   = []
    container        = { cpu = 0.5, memory = "1Gi" }
    settings         = {}
  }

  expect_failures = [var.allowed_ranges]
}
