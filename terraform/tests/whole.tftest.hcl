# All of it together. terraform.test.ts looks at what these runs made, resource by resource.

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
  }
  secret_values = {
    patient-host-key = "0000000000000000000000000000000000000000000"
    audit-host-key   = "1111111111111111111111111111111111111111111"
    patient-data-key = "2222222222222222222222222222222222222222222"
  }
}

run "defaults" {
  assert {
    condition = { for key, opening in local.access : key => opening.role } == {
      "audit/audit-db-connection"      = "Key Vault Secrets User"
      "audit/audit-host-key"           = "Key Vault Secrets User"
      "gateway/patient-host-key"       = "Key Vault Secrets User"
      "patient/audit-host-key"         = "Key Vault Secrets User"
      "patient/patient-data-key"       = "Key Vault Secrets User"
      "patient/patient-db-connection"  = "Key Vault Secrets User"
      "patient/patient-host-key"       = "Key Vault Secrets User"
      "rotation/audit-db-connection"   = "Key Vault Secrets Officer"
      "rotation/audit-host-key"        = "Key Vault Secrets Officer"
      "rotation/patient-data-key"      = "Key Vault Secrets Officer"
      "rotation/patient-db-connection" = "Key Vault Secrets Officer"
      "rotation/patient-host-key"      = "Key Vault Secrets Officer"
    }
    error_message = "Each identity opens its own, and nothing else."
  }

  assert {
    condition     = toset(local.identities) == toset(["audit", "gateway", "patient", "rotation"])
    error_message = "There is an identity for each of gateway, patient, audit and rotation."
  }

  assert {
    condition     = local.apps["primary"].patient.external_enabled && local.apps["primary"].patient.allowed_ranges == ["10.64.0.32/27"] && local.apps["primary"].patient.settings["ALLOWED_CALLERS"] == "10.64.0.32/27"
    error_message = "Patient is for the gateway's subnet alone."
  }

  assert {
    condition     = !local.apps["primary"].audit.external_enabled && local.apps["primary"].audit.settings["ALLOWED_CALLERS"] == "10.64.0.0/27" && tolist(local.apps["primary"].audit.allowed_ranges) == tolist(["10.64.0.0/27", "100.100.0.0/16"])
    error_message = "Audit is for the environment alone."
  }

  assert {
    condition     = local.jobs["rotation"].args == ["--all", "--older-than", "60"] && local.jobs["rotation"].schedule == "17 3 * * *" && tolist(local.jobs["rotation-now"].args) == tolist(["--all"]) && local.jobs["rotation-leaked"].args == ["--all", "--leaked"] && local.jobs["rotation-now"].schedule == null && local.jobs["rotation-leaked"].schedule == null && keys(local.jobs) == ["rotation", "rotation-leaked", "rotation-now"]
    error_message = "The rotation does every key that is 60 days old, once a day, and all of them when it is asked to."
  }

  assert {
    condition = tomap(local.named_values) == tomap({
      key-vault-uri              = "https://kv-mock.vault.azure.net"
      host-key-cache-seconds     = "120"
      gateway-identity-client-id = "00000000-0000-0000-0000-000000000c02"
    })
    error_message = "Policies know the vault, the gateway's identity, and how long a host key is kept."
  }

  assert {
    condition     = var.host_key_cache_seconds < var.key_grace_seconds / 2
    error_message = "The gateway keeps a host key for less than half of the grace time."
  }

  assert {
    condition     = var.app_scale.min_replicas == 0 && length(var.client_ip_ranges) == 0 && length(var.deployer_ip_ranges) == 0 && var.gateway_sku == "Developer_1" && var.database_kind == "serverless"
    error_message = "It is cheap at idle, and locked down."
  }

  assert {
    condition     = local.names.vault.vault == "kv-patients-test-${local.suffix}" && length(local.names.vault.vault) <= 24 && length(local.suffix) == 6 && length(local.names.registry.registry) <= 50
    error_message = "Names have their forms."
  }
}

run "everything" {
  variables {
    additional_regions           = { northeurope = { gateway_region = "North Europe", address_space = "10.65.0.0/24" } }
    alert_emails                 = ["operator@example.org"]
    app_scale                    = { min_replicas = 1, max_replicas = 20, concurrent_requests = 30 }
    audit_caller_ranges          = ["100.100.8.0/24"]
    availability_test_enabled    = true
    backup_tier                  = "Continuous30Days"
    budget                       = { amount = 5000, start_date = "2026-01-01" }
    client_ip_ranges             = ["192.0.2.0/24"]
    custom_domain                = { host_name = "api.example.org", certificate_name = "api-example-org" }
    customer_managed_key_enabled = true
    database_kind                = "autoscale"
    database_max_throughput      = 4000
    ddos_protection_plan_enabled = true
    delete_lock_enabled          = true
    deployer_ip_ranges           = ["192.0.2.1/32"]
    entra                        = { tenant_id = "00000000-0000-0000-0000-000000007e4a", audience = "api://patients", client_application_ids = ["00000000-0000-0000-0000-00000000c11f"] }
    gateway_sku                  = "Premium_3"
    load_test                    = { image = "crmock.azurecr.io/k6@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", key_secret_name = "load-test-subscription-key" }
    log_level                    = "warn"
    log_retention_days           = 365
    nat_gateway_enabled          = true
    runner_enabled               = true
    tags                         = { owner = "mock" }
    telemetry_sampling           = 0.25
    vault_sku                    = "premium"
    zone_redundant               = true
  }

  assert {
    condition     = keys(module.network) == ["northeurope", "primary"] && keys(module.apps) == ["northeurope", "primary"] && module.network["northeurope"].subnet_prefixes["gateway"] == "10.65.0.32/27"
    error_message = "Each region has a network and an environment of its own."
  }

  assert {
    condition     = local.patient_urls["primary"] == "https://patient.mock-0123abcd.westeurope.azurecontainerapps.io/patient" && keys(local.patient_urls) == ["northeurope", "primary"]
    error_message = "Each region has a patient service."
  }

  assert {
    condition     = local.apps["northeurope"].patient.allowed_ranges == ["10.65.0.32/27"] && local.apps["northeurope"].audit.settings["ALLOWED_CALLERS"] == "100.100.8.0/24"
    error_message = "Each region's services are for that region's callers."
  }

  assert {
    condition     = local.foreign_secrets == tomap({ "gateway/api-example-org" = { identity = "gateway", secret = "api-example-org" }, "load-test/load-test-subscription-key" = { identity = "load-test", secret = "load-test-subscription-key" } })
    error_message = "What others put into the vault has a reader each."
  }

  assert {
    condition     = toset(local.identities) == toset(["audit", "databases", "gateway", "load-test", "patient", "rotation"])
    error_message = "What the options need has an identity of its own."
  }
}

run "vcore" {
  variables {
    database_kind   = "vcore"
    vcore_passwords = { patient = "0123456789abcdef", audit = "fedcba9876543210" }
  }

  assert {
    condition     = toset(local.rotated) == toset(["audit-host-key", "patient-data-key", "patient-host-key"]) && !contains(keys(local.jobs["rotation"].settings), "PATIENT_COSMOS_ACCOUNT") && slice(local.jobs["rotation"].args, 0, 3) == ["audit-host-key", "patient-data-key", "patient-host-key"]
    error_message = "The password of a cluster is changed by hand: the rotation has nothing to do with it."
  }

  assert {
    condition     = local.database == { zone = "privatelink.mongocluster.cosmos.azure.com", port = 10260 }
    error_message = "Clusters have a zone and a port of their own."
  }
}
