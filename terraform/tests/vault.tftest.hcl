# The vault: private, with access for each identity to its own secrets only.

mock_provider "azurerm" {
  source = "./tests/mocks"
}

variables {
  context = {
    location            = "westeurope"
    resource_group_name = "rg-mock"
    tags                = {}
    workspace_id        = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.OperationalInsights/workspaces/log-mock"
  }
  names = {
    vault              = "kv-mock"
    endpoint           = "pe-mock"
    customer_managed   = "databases"
    lock               = "delete-mock"
    diagnostic_setting = "log-analytics"
  }
  access = {
    "gateway/patient-host-key"  = { identity = "gateway", secret = "patient-host-key", role = "Key Vault Secrets User" }
    "rotation/patient-host-key" = { identity = "rotation", secret = "patient-host-key", role = "Key Vault Secrets Officer" }
  }
  deployer = { ip_ranges = [], object_id = "00000000-0000-0000-0000-0000000deb10" }
  vault = {
    tenant_id            = "00000000-0000-0000-0000-000000007e4a"
    sku_name             = "standard"
    delete_lock          = false
    certificate          = false
    customer_managed_key = false
  }
  foreign_secrets = {}
  identities = {
    gateway   = "00000000-0000-0000-0000-000000000a01"
    rotation  = "00000000-0000-0000-0000-000000000a02"
    databases = "00000000-0000-0000-0000-000000000a03"
  }
  networks = {
    primary = {
      location            = "westeurope"
      resource_group_name = "rg-mock"
      subnet_ids          = { endpoints = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/virtualNetworks/vnet-mock/subnets/snet-endpoints" }
      dns_zone_ids        = { vault = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/privateDnsZones/privatelink.vaultcore.azure.net" }
    }
  }
  secret_values = { patient-host-key = "0000000000000000000000000000000000000000000" }
  secrets       = ["patient-host-key"]
}

run "closed_by_default" {
  module {
    source = "./modules/vault"
  }

  assert {
    condition     = azurerm_key_vault.main["vault"].rbac_authorization_enabled && azurerm_key_vault.main["vault"].purge_protection_enabled && azurerm_key_vault.main["vault"].soft_delete_retention_days == 90
    error_message = "The vault uses roles and keeps deleted items for 90 days."
  }

  assert {
    condition     = !azurerm_key_vault.main["vault"].public_network_access_enabled
    error_message = "The vault has no public access."
  }

  assert {
    condition     = azurerm_key_vault.main["vault"].network_acls[0].default_action == "Deny" && azurerm_key_vault.main["vault"].network_acls[0].bypass == "None" && length(coalesce(azurerm_key_vault.main["vault"].network_acls[0].ip_rules, [])) == 0
    error_message = "The firewall of the vault has no exceptions."
  }

  assert {
    condition = (
      module.endpoints.endpoints["primary"].private_service_connection[0].private_connection_resource_id == azurerm_key_vault.main["vault"].id &&
      module.endpoints.endpoints["primary"].private_service_connection[0].subresource_names[0] == "vault" &&
      endswith(module.endpoints.endpoints["primary"].subnet_id, "/snet-endpoints") &&
      endswith(module.endpoints.endpoints["primary"].private_dns_zone_group[0].private_dns_zone_ids[0], "/privatelink.vaultcore.azure.net")
    )
    error_message = "The name of the vault resolves to its private endpoint."
  }

  assert {
    condition     = alltrue([for key, assignment in azurerm_role_assignment.secret : assignment.scope == "${azurerm_key_vault.main["vault"].id}/secrets/${split("/", key)[1]}"])
    error_message = "The scope of each role is one secret."
  }

  assert {
    condition = { for key, assignment in azurerm_role_assignment.secret : key => "${assignment.role_definition_name} ${assignment.principal_id}" } == {
      "gateway/patient-host-key"  = "Key Vault Secrets User 00000000-0000-0000-0000-000000000a01"
      "rotation/patient-host-key" = "Key Vault Secrets Officer 00000000-0000-0000-0000-000000000a02"
    }
    error_message = "Each identity has the role that the table says."
  }

  assert {
    condition     = azurerm_role_assignment.deployer.scope == azurerm_key_vault.main["vault"].id && azurerm_role_assignment.deployer.principal_id == "00000000-0000-0000-0000-0000000deb10" && azurerm_role_assignment.deployer.role_definition_name == "Key Vault Secrets Officer"
    error_message = "The deployer has the only role on the whole vault."
  }

  assert {
    condition     = alltrue([for secret in azurerm_key_vault_secret.main : secret.value == null && secret.value_wo == null && secret.value_wo_version == 1])
    error_message = "The state contains no value of a secret."
  }

  assert {
    condition     = azurerm_monitor_diagnostic_setting.main["vault"].target_resource_id == azurerm_key_vault.main["vault"].id && contains([for log in azurerm_monitor_diagnostic_setting.main["vault"].enabled_log : log.category], "AuditEvent") && endswith(azurerm_monitor_diagnostic_setting.main["vault"].log_analytics_workspace_id, "/log-mock")
    error_message = "Access to secrets is logged in Log Analytics."
  }

  assert {
    condition     = length(azurerm_key_vault_key.databases) == 0 && length(azurerm_management_lock.main) == 0 && length(azurerm_role_assignment.foreign_secret) == 0
    error_message = "Customer-managed key, lock and secrets that are stored by hand are optional."
  }
}

run "options" {
  module {
    source = "./modules/vault"
  }

  variables {
    deployer        = { ip_ranges = ["192.0.2.1/32"], object_id = "00000000-0000-0000-0000-0000000deb10" }
    vault           = { tenant_id = "00000000-0000-0000-0000-000000007e4a", sku_name = "premium", delete_lock = true, certificate = true, customer_managed_key = true }
    foreign_secrets = { "gateway/certificate" = { identity = "gateway", secret = "certificate" } }
  }

  assert {
    condition     = azurerm_key_vault.main["vault"].public_network_access_enabled && azurerm_key_vault.main["vault"].network_acls[0].default_action == "Deny" && azurerm_key_vault.main["vault"].network_acls[0].ip_rules == toset(["192.0.2.1/32"])
    error_message = "If the vault is open to the deployer, it is open to nobody else."
  }

  assert {
    condition     = azurerm_key_vault.main["vault"].network_acls[0].bypass == "AzureServices"
    error_message = "Cosmos DB and API Management access their key and certificate as trusted Azure services."
  }

  assert {
    condition     = azurerm_role_assignment.foreign_secret["gateway/certificate"].scope == "${azurerm_key_vault.main["vault"].id}/secrets/certificate" && azurerm_role_assignment.foreign_secret["gateway/certificate"].role_definition_name == "Key Vault Secrets User"
    error_message = "The gateway can read its certificate only."
  }

  assert {
    condition     = azurerm_key_vault_key.databases["databases"].key_type == "RSA-HSM" && azurerm_key_vault_key.databases["databases"].rotation_policy[0].automatic[0].time_after_creation == "P1Y"
    error_message = "The key of the databases is in an HSM and is rotated automatically."
  }

  assert {
    condition     = azurerm_role_assignment.databases_key["databases"].scope == azurerm_key_vault_key.databases["databases"].resource_versionless_id && azurerm_role_assignment.databases_key["databases"].role_definition_name == "Key Vault Crypto Service Encryption User" && azurerm_role_assignment.databases_key["databases"].principal_id == "00000000-0000-0000-0000-000000000a03"
    error_message = "The identity of the databases can use this key only."
  }

  assert {
    condition     = azurerm_role_assignment.deployer.role_definition_name == "Key Vault Administrator"
    error_message = "Creating a key requires another role than creating secrets."
  }

  assert {
    condition     = azurerm_management_lock.main["delete"].scope == azurerm_key_vault.main["vault"].id && azurerm_management_lock.main["delete"].lock_level == "CanNotDelete"
    error_message = "The vault has a delete lock."
  }
}

run "an_existing_vault" {
  module {
    source = "./modules/vault"
  }

  variables {
    vault = { tenant_id = "00000000-0000-0000-0000-000000007e4a", sku_name = "standard", delete_lock = true, certificate = false, customer_managed_key = false, existing_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.KeyVault/vaults/kv-hub" }
  }

  assert {
    condition     = length(azurerm_key_vault.main) == 0 && length(azurerm_monitor_diagnostic_setting.main) == 0 && data.azurerm_key_vault.existing[var.vault.existing_id].name == "kv-hub" && data.azurerm_key_vault.existing[var.vault.existing_id].resource_group_name == "rg-hub"
    error_message = "An existing vault is found by its id and not changed."
  }

  assert {
    condition     = output.uri == "https://kv-hub.vault.azure.net/" && output.id == var.vault.existing_id && output.name == "kv-hub" && azurerm_key_vault_secret.main["patient-host-key"].key_vault_id == var.vault.existing_id
    error_message = "An existing vault gets the secrets."
  }

  assert {
    condition     = azurerm_role_assignment.secret["gateway/patient-host-key"].scope == "${var.vault.existing_id}/secrets/${azurerm_key_vault_secret.main["patient-host-key"].name}" && module.endpoints.endpoints["primary"].private_service_connection[0].private_connection_resource_id == var.vault.existing_id
    error_message = "Roles and the private endpoint are those of an existing vault."
  }
}

run "an_existing_vault_that_is_open" {
  command = plan

  module {
    source = "./modules/vault"
  }

  variables {
    vault = { tenant_id = "00000000-0000-0000-0000-000000007e4a", sku_name = "standard", delete_lock = true, certificate = false, customer_managed_key = false, existing_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.KeyVault/vaults/kv-hub" }
  }

  override_data {
    target = data.azurerm_key_vault.existing["/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.KeyVault/vaults/kv-hub"]
    values = { rbac_authorization_enabled = true, purge_protection_enabled = true, public_network_access_enabled = true }
  }

  expect_failures = [data.azurerm_key_vault.existing["/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.KeyVault/vaults/kv-hub"]]
}
