# The whole configuration. terraform.test.ts checks each resource of these runs.

mock_provider "azurerm" {
  source = "./tests/mocks"

  override_resource {
    target = module.data.azurerm_cosmosdb_account.main["audit"]
    values = {
      id                                = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.DocumentDB/databaseAccounts/cosmos-audit"
      primary_key                       = "mock+key/with=="
      primary_mongodb_connection_string = "mongodb://cosmos-audit:mock+key/with==@cosmos-audit.mongo.cosmos.azure.com:10255/?ssl=true"
    }
  }

  override_resource {
    target = module.data.azurerm_cosmosdb_account.main["patient"]
    values = {
      id                                = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.DocumentDB/databaseAccounts/cosmos-patient"
      primary_key                       = "mock+key/with=="
      primary_mongodb_connection_string = "mongodb://cosmos-patient:mock+key/with==@cosmos-patient.mongo.cosmos.azure.com:10255/?ssl=true"
    }
  }

  override_resource {
    target = module.identity.azurerm_user_assigned_identity.main["audit"]
    values = {
      id           = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-audit"
      client_id    = "00000000-0000-0000-0000-000000000c01"
      principal_id = "00000000-0000-0000-0000-000000000b01"
    }
  }

  override_resource {
    target = module.identity.azurerm_user_assigned_identity.main["gateway"]
    values = {
      id           = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-gateway"
      client_id    = "00000000-0000-0000-0000-000000000c02"
      principal_id = "00000000-0000-0000-0000-000000000b02"
    }
  }

  override_resource {
    target = module.identity.azurerm_user_assigned_identity.main["patient"]
    values = {
      id           = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-patient"
      client_id    = "00000000-0000-0000-0000-000000000c03"
      principal_id = "00000000-0000-0000-0000-000000000b03"
    }
  }

  override_resource {
    target = module.identity.azurerm_user_assigned_identity.main["rotation"]
    values = {
      id           = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-rotation"
      client_id    = "00000000-0000-0000-0000-000000000c04"
      principal_id = "00000000-0000-0000-0000-000000000b04"
    }
  }

  override_resource {
    target = module.identity.azurerm_user_assigned_identity.main["databases"]
    values = {
      id           = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-databases"
      client_id    = "00000000-0000-0000-0000-000000000c05"
      principal_id = "00000000-0000-0000-0000-000000000b05"
    }
  }

  override_resource {
    target = module.identity.azurerm_user_assigned_identity.main["load-test"]
    values = {
      id           = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-load-test"
      client_id    = "00000000-0000-0000-0000-000000000c06"
      principal_id = "00000000-0000-0000-0000-000000000b06"
    }
  }

  override_resource {
    target = module.identity.azurerm_user_assigned_identity.main["auditor"]
    values = {
      id           = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-auditor"
      client_id    = "00000000-0000-0000-0000-000000000c07"
      principal_id = "00000000-0000-0000-0000-000000000b07"
    }
  }

  override_resource {
    target = module.network["primary"].azurerm_subnet.main["environment"]
    values = { id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock-primary/providers/Microsoft.Network/virtualNetworks/vnet-mock/subnets/snet-environment" }
  }

  override_resource {
    target = module.network["primary"].azurerm_subnet.main["gateway"]
    values = { id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock-primary/providers/Microsoft.Network/virtualNetworks/vnet-mock/subnets/snet-gateway" }
  }

  override_resource {
    target = module.network["primary"].azurerm_subnet.main["endpoints"]
    values = { id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock-primary/providers/Microsoft.Network/virtualNetworks/vnet-mock/subnets/snet-endpoints" }
  }

  override_resource {
    target = module.network["northeurope"].azurerm_subnet.main["environment"]
    values = { id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock-northeurope/providers/Microsoft.Network/virtualNetworks/vnet-mock/subnets/snet-environment" }
  }

  override_resource {
    target = module.network["northeurope"].azurerm_subnet.main["gateway"]
    values = { id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock-northeurope/providers/Microsoft.Network/virtualNetworks/vnet-mock/subnets/snet-gateway" }
  }

  override_resource {
    target = module.network["northeurope"].azurerm_subnet.main["endpoints"]
    values = { id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock-northeurope/providers/Microsoft.Network/virtualNetworks/vnet-mock/subnets/snet-endpoints" }
  }
}

variables {
  environment = "test"
  publisher   = { name = "Mock", email = "mock@example.org" }
  images = {
    patient  = "crmock.azurecr.io/patient@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    audit    = "crmock.azurecr.io/audit@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    rotation = "crmock.azurecr.io/rotation@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    auditor  = "crmock.azurecr.io/auditor@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }
  secret_values = {
    patient-host-key    = "0000000000000000000000000000000000000000000"
    audit-host-key      = "1111111111111111111111111111111111111111111"
    audit-query-key     = "3333333333333333333333333333333333333333333"
    audit-log-key       = "4444444444444444444444444444444444444444444"
    patient-data-key    = "2222222222222222222222222222222222222222222"
    auditor-session-key = "5555555555555555555555555555555555555555555"
  }
}

run "defaults" {
  assert {
    condition     = local.apps["primary"].audit.settings.WITNESSES == "" && !strcontains(jsonencode(local.apps["primary"].patient.settings), "WITNESSES")
    error_message = "There is no witness by default."
  }

  assert {
    condition = { for key, opening in local.access : key => opening.role } == {
      "audit/audit-db-connection"      = "Key Vault Secrets User"
      "audit/audit-host-key"           = "Key Vault Secrets User"
      "audit/audit-log-key"            = "Key Vault Secrets User"
      "audit/audit-query-key"          = "Key Vault Secrets User"
      "gateway/audit-query-key"        = "Key Vault Secrets User"
      "gateway/patient-host-key"       = "Key Vault Secrets User"
      "patient/audit-host-key"         = "Key Vault Secrets User"
      "patient/patient-data-key"       = "Key Vault Secrets User"
      "patient/patient-db-connection"  = "Key Vault Secrets User"
      "patient/patient-host-key"       = "Key Vault Secrets User"
      "rotation/audit-db-connection"   = "Key Vault Secrets Officer"
      "rotation/audit-host-key"        = "Key Vault Secrets Officer"
      "rotation/audit-log-key"         = "Key Vault Secrets Officer"
      "rotation/audit-query-key"       = "Key Vault Secrets Officer"
      "rotation/patient-data-key"      = "Key Vault Secrets Officer"
      "rotation/patient-db-connection" = "Key Vault Secrets Officer"
      "rotation/patient-host-key"      = "Key Vault Secrets Officer"
    }
    error_message = "Each identity can open its own secrets only."
  }

  assert {
    condition     = toset(local.identities) == toset(["audit", "gateway", "patient", "rotation"])
    error_message = "There is an identity for each of gateway, patient, audit and rotation."
  }

  assert {
    condition     = local.apps["primary"].patient.external_enabled && local.apps["primary"].patient.allowed_ranges == ["10.64.0.32/27"] && local.apps["primary"].patient.settings["ALLOWED_CALLERS"] == "10.64.0.32/27"
    error_message = "Patient accepts the subnet of the gateway only."
  }

  assert {
    condition     = local.apps["primary"].audit.external_enabled && local.apps["primary"].audit.settings["ALLOWED_CALLERS"] == "10.64.0.0/27,100.100.0.0/16,10.64.0.32/27" && tolist(local.apps["primary"].audit.allowed_ranges) == tolist(["10.64.0.0/27", "100.100.0.0/16", "10.64.0.32/27"])
    error_message = "Audit accepts the environment and the subnet of the gateway only."
  }

  assert {
    condition     = local.jobs["rotation"].args == ["--all", "--older-than", "60"] && local.jobs["rotation"].schedule == "17 3 * * *" && tolist(local.jobs["rotation-now"].args) == tolist(["--all"]) && local.jobs["rotation-leaked"].args == ["--all", "--leaked"] && local.jobs["rotation-now"].schedule == null && local.jobs["rotation-leaked"].schedule == null && keys(local.jobs) == ["audit-sequence", "rotation", "rotation-leaked", "rotation-now"]
    error_message = "Rotation rotates keys that are 60 days old, once a day, and all keys when it is started by hand."
  }

  assert {
    condition     = local.jobs["audit-sequence"].schedule == "*/10 * * * *" && local.jobs["audit-sequence"].args == ["/app/sequence-job.mjs"] && local.jobs["audit-sequence"].image == var.images.audit && local.jobs["audit-sequence"].identity_id == module.identity.ids["audit"] && local.jobs["audit-sequence"].settings == local.apps["primary"].audit.settings
    error_message = "A job with image, identity and settings of audit completes the log every ten minutes."
  }

  assert {
    condition     = local.apps["primary"].audit.settings.LOG_ORIGIN == "audited-patient-api/register" && local.apps["primary"].audit.settings.QUERY_MAX_DAYS == "31"
    error_message = "The audit service has the name of its log and the longest range of a query."
  }

  assert {
    condition     = local.apps["primary"].audit.settings.USUAL_HOURS == "06:00-22:00" && local.apps["primary"].audit.settings.TIME_ZONE == "UTC"
    error_message = "The review expects people at work from 06:00 to 22:00 UTC."
  }

  assert {
    condition     = keys(local.apps["primary"]) == ["audit", "patient"] && length(local.auditor_urls) == 0
    error_message = "The auditor's page is optional."
  }

  assert {
    condition = tomap(local.named_values) == tomap({
      key-vault-uri              = "https://kv-mock.vault.azure.net"
      host-key-cache-seconds     = "120"
      gateway-identity-client-id = "00000000-0000-0000-0000-000000000c02"
    })
    error_message = "Policies have the vault, the identity of the gateway, and the cache time of a host key."
  }

  assert {
    condition     = var.keys.gateway_cache_seconds < var.keys.grace_seconds / 2
    error_message = "The gateway caches a host key for less than half of the grace period."
  }

  assert {
    condition     = var.app_scale.min_replicas == 0 && length(var.client_ip_ranges) == 0 && length(var.deployer_ip_ranges) == 0 && var.gateway_sku == "Developer_1" && var.database_kind == "serverless"
    error_message = "The defaults are cheap when idle, and closed."
  }

  assert {
    condition     = local.names.vault.vault == "kv-patients-test-${local.suffix}" && length(local.names.vault.vault) <= 24 && length(local.suffix) == 6 && length(local.names.registry.registry) <= 50
    error_message = "Names have the expected form."
  }

  assert {
    condition     = local.dns_zones == { database = "privatelink.mongo.cosmos.azure.com", registry = "privatelink.azurecr.io", vault = "privatelink.vaultcore.azure.net" }
    error_message = "Each private endpoint has its zone, which Azure names."
  }
}

run "everything" {
  variables {
    alerts                       = { emails = ["operator@example.org"], availability_test = true, budget = { amount = 5000 } }
    register                     = { caller_ranges = ["100.100.8.0/24"] }
    network                      = { ddos_protection_plan = true, nat_gateway = true, runner = true }
    logs                         = { level = "warn", retention_days = 365, private = true, sampling_ratio = 0.25 }
    additional_regions           = { northeurope = { gateway_region = "North Europe", address_space = "10.65.0.0/24" } }
    app_scale                    = { min_replicas = 1, max_replicas = 19, concurrent_requests = 30 }
    auditor_page                 = { min_replicas = 1 }
    backup_tier                  = "Continuous30Days"
    client_ip_ranges             = ["192.0.2.0/24"]
    custom_domain                = { host_name = "api.example.org", certificate_name = "api-example-org", bound = true }
    customer_managed_key_enabled = true
    database_kind                = "autoscale"
    database_max_throughput      = 4000
    delete_lock_enabled          = true
    deployer_object_id           = "00000000-0000-0000-0000-00000000d001"
    deployer_ip_ranges           = ["192.0.2.1/32"]
    default_region               = "DE"
    edge                         = { kind = "front_door", host_name = "edge.example.org" }
    entra                        = { tenant_id = "00000000-0000-0000-0000-000000007e4a", audience = "api://patients", client_application_ids = ["00000000-0000-0000-0000-00000000c11f"] }
    gateway_sku                  = "Premium_3"
    load_test                    = { image = "crmock.azurecr.io/k6@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", key_secret_name = "load-test-subscription-key" }
    review                       = { usual_hours = "07:30-19:00", time_zone = "Europe/Berlin" }
    runner                       = { repository = "example/patients", version = "2.300.0", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", ssh_public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHduRG+U4vce6OxKFvXqpAhiDjhXcwGOGTcHUhjIP/bm" }
    tags                         = { owner = "mock" }
    upgrade                      = { live = { primary = { patient = "p1", audit = "a1" }, northeurope = { patient = "p2", audit = "a2" } }, percentage = 10 }
    vault_sku                    = "premium"
    zone_redundant               = true
  }

  assert {
    condition     = { for key, zone in local.dns_zones : key => zone if startswith(key, "monitor") } == { monitor = "privatelink.monitor.azure.com", monitor-agents = "privatelink.agentsvc.azure-automation.net", monitor-data = "privatelink.ods.opinsights.azure.com", monitor-logs = "privatelink.oms.opinsights.azure.com", monitor-storage = "privatelink.blob.core.windows.net" }
    error_message = "The private endpoint of the monitor has its zones, which Azure names."
  }

  assert {
    condition     = keys(module.network) == ["northeurope", "primary"] && keys(module.apps) == ["northeurope", "primary"] && module.network["northeurope"].subnet_prefixes["gateway"] == "10.65.0.32/27"
    error_message = "Each region has its own network and environment."
  }

  assert {
    condition     = local.patient_urls["primary"] == "https://patient.mock-0123abcd.westeurope.azurecontainerapps.io/patient" && keys(local.patient_urls) == ["northeurope", "primary"]
    error_message = "Each region has a patient service."
  }

  assert {
    condition     = local.apps["northeurope"].patient.allowed_ranges == ["10.65.0.32/27"] && local.apps["northeurope"].audit.settings["ALLOWED_CALLERS"] == "100.100.8.0/24,10.65.0.32/27"
    error_message = "The services of each region accept callers of that region."
  }

  assert {
    condition = local.foreign_secrets == tomap({
      "load-test/load-test-subscription-key" = { identity = "load-test", secret = "load-test-subscription-key" }
      "runner/runner-github-token"           = { identity = "runner", secret = "runner-github-token" }
    })
    error_message = "Each secret that is stored by hand has a reader."
  }

  assert {
    condition     = toset(local.identities) == toset(["audit", "auditor", "databases", "gateway", "load-test", "patient", "rotation", "runner"])
    error_message = "Optional parts have their own identities."
  }

  assert {
    condition     = output.runner_scale_set == "vmss-patients-test-runner"
    error_message = "There is a build runner."
  }

  assert {
    condition     = { for key, opening in local.access : key => opening.role if opening.secret == "auditor-session-key" || opening.identity == "auditor" } == { "auditor/auditor-session-key" = "Key Vault Secrets User", "rotation/auditor-session-key" = "Key Vault Secrets Officer" }
    error_message = "The auditor's page opens the key of its sessions and nothing else."
  }

  assert {
    condition = alltrue([for region, gateway in { primary = "10.64.0.32/27", northeurope = "10.65.0.32/27" } :
      local.apps[region].auditor.external_enabled && local.apps[region].auditor.allowed_ranges == [gateway] &&
      local.apps[region].auditor.scale == { min_replicas = 1, max_replicas = 2, concurrent_requests = 30 } &&
      local.apps[region].auditor.settings.GATEWAY_URL == "https://edge.example.org"
    ])
    error_message = "The auditor's page of each region accepts the gateway of its region only, and calls what clients call."
  }

  assert {
    condition     = local.auditor_urls == { primary = "https://auditor.mock-0123abcd.westeurope.azurecontainerapps.io/auditor", northeurope = "https://auditor.mock-0123abcd.westeurope.azurecontainerapps.io/auditor" }
    error_message = "The gateway knows where the auditor's page is."
  }

  assert {
    condition     = contains(local.jobs["rotation"].args, "auditor-session-key") && !contains(local.jobs["rotation"].args, "--all") && length(setsubtract(local.secrets, local.jobs["rotation-now"].args)) == 0 && local.jobs["rotation-leaked"].args == concat(local.jobs["rotation-now"].args, ["--leaked"])
    error_message = "Rotation rotates the key of the sessions as well."
  }

  assert {
    condition     = alltrue([for region in ["primary", "northeurope"] : local.apps[region].audit.settings.USUAL_HOURS == "07:30-19:00" && local.apps[region].audit.settings.TIME_ZONE == "Europe/Berlin"])
    error_message = "The review has the usual hours and their time zone."
  }
}

run "estate" {

  variables {
    alerts = { emails = ["operator@example.org"] }
    edge   = { kind = "application_gateway", host_name = "api.example.org", certificate_name = "api-example-org" }
    existing = {
      networks = {
        primary = {
          virtual_network_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub"
          subnet_ids = {
            environment = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub/subnets/apps"
            gateway     = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub/subnets/apim"
            endpoints   = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub/subnets/endpoints"
            edge        = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub/subnets/edge"
            runner      = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub/subnets/runner"
          }
          private_dns_zone_ids = {}
        }
      }
      resolver_network_ids = ["/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-resolver"]
      workspace_id         = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.OperationalInsights/workspaces/log-hub"
      vault_id             = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.KeyVault/vaults/kv-hub"
      registry_id          = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.ContainerRegistry/registries/crhub"
    }
    runner = { repository = "example/patients", version = "2.300.0", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", ssh_public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHduRG+U4vce6OxKFvXqpAhiDjhXcwGOGTcHUhjIP/bm" }
  }

  assert {
    condition     = toset(local.identities) == toset(["audit", "edge", "gateway", "patient", "rotation", "runner"]) && local.foreign_secrets == tomap({ "edge/api-example-org" = { identity = "edge", secret = "api-example-org" }, "runner/runner-github-token" = { identity = "runner", secret = "runner-github-token" } })
    error_message = "The Application Gateway reads its certificate as itself."
  }

  assert {
    condition     = output.gateway_url == "https://api.example.org" && output.key_vault_name == "kv-hub" && output.registry_login_server == "crhub.azurecr.io" && output.log_analytics_workspace == "00000000-0000-0000-0000-00000000b111"
    error_message = "What is there already is used, and clients call the edge."
  }

  assert {
    condition     = local.apps["primary"].patient.allowed_ranges == ["10.9.0.0/26"] && keys(output.security_rules["primary"]) == ["edge", "endpoints", "environment", "gateway", "runner"]
    error_message = "The ranges of existing subnets are known."
  }
}

run "vcore" {
  variables {
    database_kind = "vcore"
  }

  assert {
    condition     = toset(local.rotated) == toset(["audit-host-key", "audit-log-key", "audit-query-key", "patient-data-key", "patient-host-key"]) && !contains(keys(local.jobs["rotation"].settings), "PATIENT_COSMOS_ACCOUNT") && slice(local.jobs["rotation"].args, 0, 5) == ["audit-host-key", "audit-log-key", "audit-query-key", "patient-data-key", "patient-host-key"]
    error_message = "The connection string of a cluster has no password: rotation has no access to it."
  }

  assert {
    condition     = local.database == { zone = "privatelink.mongocluster.cosmos.azure.com", port = 10260 }
    error_message = "Clusters have their own DNS zone and port."
  }
}

run "v2" {
  variables {
    client_ip_ranges = ["192.0.2.0/24"]
    gateway_sku      = "StandardV2_1"
    network          = { nat_gateway = true }
    load_test        = { image = "crmock.azurecr.io/k6@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", key_secret_name = "load-test-subscription-key" }
  }

  assert {
    condition     = local.apps["primary"].patient.allowed_ranges == ["10.64.0.32/27"]
    error_message = "Calls of the gateway come from its subnet, as in the classic tiers."
  }
}

run "premium_v2" {
  command = plan

  variables {
    client_ip_ranges = ["10.0.0.0/8"]
    gateway_sku      = "PremiumV2_2"
  }
}

run "witnesses" {
  command = plan

  variables {
    auditor_page = {}
    network      = { nat_gateway = true }
    witnesses = [
      { key = "witness.example/w1+ab0f2497+BIo7oB/i8IYfhaEYkBHZpefrZlg24hQojQwbaEldBevH", url = "https://witness.example/w1" },
      { key = "witness.example/w2+ab0f2497+BIo7oB/i8IYfhaEYkBHZpefrZlg24hQojQwbaEldBevH", url = "https://witness.example/w2" },
    ]
  }

  assert {
    condition     = local.apps["primary"].audit.settings.WITNESSES == "${var.witnesses[0].key} https://witness.example/w1 ${var.witnesses[1].key} https://witness.example/w2"
    error_message = "The audit service knows its witnesses."
  }

  assert {
    condition     = local.apps["primary"].auditor.settings.WITNESS_KEYS == "${var.witnesses[0].key} ${var.witnesses[1].key}"
    error_message = "The auditor's page checks their cosignatures."
  }
}

run "a_witness_without_https_is_refused" {
  command = plan

  variables {
    witnesses = [{ key = "witness.example/w1+ab0f2497+BIo7oB/i8IYfhaEYkBHZpefrZlg24hQojQwbaEldBevH", url = "http://witness.example" }]
  }

  expect_failures = [var.witnesses]
}
