# The vault, its secrets, and the access rights on them.

locals {
  vault = concat(
    [for vault in azurerm_key_vault.main : { id = vault.id, name = vault.name, uri = vault.vault_uri }],
    [for vault in data.azurerm_key_vault.existing : { id = vault.id, name = vault.name, uri = vault.vault_uri }],
  )[0]
}

data "azurerm_key_vault" "existing" {
  for_each = toset(var.vault.existing_id == null ? [] : [var.vault.existing_id])

  name                = split("/", each.key)[8]
  resource_group_name = split("/", each.key)[4]

  lifecycle {
    postcondition {
      condition     = self.rbac_authorization_enabled && self.purge_protection_enabled && !self.public_network_access_enabled
      error_message = "The existing vault needs authorization by roles, purge protection, and no public access."
    }
  }
}

resource "azurerm_key_vault" "main" {
  for_each = toset(var.vault.existing_id == null ? ["vault"] : [])

  name                          = var.names.vault
  location                      = var.context.location
  resource_group_name           = var.context.resource_group_name
  tenant_id                     = var.vault.tenant_id
  sku_name                      = var.vault.sku_name
  rbac_authorization_enabled    = true
  purge_protection_enabled      = true
  soft_delete_retention_days    = 90
  public_network_access_enabled = length(var.deployer.ip_ranges) > 0
  tags                          = var.context.tags

  network_acls {
    default_action = "Deny"
    # Only Cosmos DB with a customer-managed key and API Management with a certificate connect as trusted Azure services
    bypass   = var.vault.customer_managed_key || var.vault.certificate ? "AzureServices" : "None"
    ip_rules = var.deployer.ip_ranges
  }
}

moved {
  from = azurerm_key_vault.main
  to   = azurerm_key_vault.main["vault"]
}

module "endpoints" {
  source = "../endpoints"

  networks = var.networks
  tags     = var.context.tags

  endpoints = {
    for region in keys(var.networks) : region => {
      name        = "${var.names.endpoint}-${region}"
      region      = region
      service     = "vault"
      subresource = "vault"
      resource_id = local.vault.id
      zones       = ["vault"]
    }
  }
}

moved {
  from = azurerm_private_endpoint.main
  to   = module.endpoints.azurerm_private_endpoint.main
}

# The only role on the whole vault
resource "azurerm_role_assignment" "deployer" {
  scope                = local.vault.id
  role_definition_name = var.vault.customer_managed_key ? "Key Vault Administrator" : "Key Vault Secrets Officer"
  principal_id         = var.deployer.object_id
  description          = "Deployer: creates the secrets"
}

resource "azurerm_key_vault_secret" "main" {
  # checkov:skip=CKV_AZURE_41: rotation sets the expiry of a version when it supersedes it; an earlier expiry would cause an outage

  for_each = var.secrets

  name             = each.key
  key_vault_id     = local.vault.id
  value_wo         = var.secret_values[each.key]
  value_wo_version = 1
  content_type     = "text/plain"

  lifecycle {
    # From here on, rotation manages them: values, times, and the tag that names the previous version
    ignore_changes = [value_wo_version, content_type, expiration_date, not_before_date, tags]
  }

  depends_on = [azurerm_role_assignment.deployer, module.endpoints]
}

# The scope is one secret with all its versions; the id of the secret resource names only one version
resource "azurerm_role_assignment" "secret" {
  for_each = var.access

  scope                = "${local.vault.id}/secrets/${azurerm_key_vault_secret.main[each.value.secret].name}"
  role_definition_name = each.value.role
  principal_id         = var.identities[each.value.identity]
  principal_type       = "ServicePrincipal"
  description          = "${each.value.identity}: ${each.value.secret}"
}

# Secrets that are stored by hand: the secret of a certificate, which contains its private key, or a subscription key
resource "azurerm_role_assignment" "foreign_secret" {
  for_each = var.foreign_secrets

  scope                = "${local.vault.id}/secrets/${each.value.secret}"
  role_definition_name = "Key Vault Secrets User"
  principal_id         = var.identities[each.value.identity]
  principal_type       = "ServicePrincipal"
  description          = "${each.value.identity}: ${each.value.secret}"
}

resource "azurerm_key_vault_key" "databases" {
  # checkov:skip=CKV_AZURE_40: its rotation policy sets the expiry of each version
  # checkov:skip=CKV_AZURE_112: depends on vault_sku, which environments/prod.tfvars sets

  for_each = toset(var.vault.customer_managed_key ? ["databases"] : [])

  name         = var.names.customer_managed
  key_vault_id = local.vault.id
  key_type     = var.vault.sku_name == "premium" ? "RSA-HSM" : "RSA"
  key_size     = 3072
  key_opts     = ["unwrapKey", "wrapKey"]
  tags         = var.context.tags

  rotation_policy {
    expire_after         = "P2Y"
    notify_before_expiry = "P30D"

    automatic {
      time_after_creation = "P1Y"
    }
  }

  depends_on = [azurerm_role_assignment.deployer, module.endpoints]
}

resource "azurerm_role_assignment" "databases_key" {
  for_each = azurerm_key_vault_key.databases

  scope                = each.value.resource_versionless_id
  role_definition_name = "Key Vault Crypto Service Encryption User"
  principal_id         = var.identities["databases"]
  principal_type       = "ServicePrincipal"
  description          = "databases: ${var.names.customer_managed}"
}

# The owner of an existing vault decides on its diagnostics and locks
resource "azurerm_monitor_diagnostic_setting" "main" {
  for_each = azurerm_key_vault.main

  name                       = var.names.diagnostic_setting
  target_resource_id         = each.value.id
  log_analytics_workspace_id = var.context.workspace_id

  enabled_log {
    category = "AuditEvent"
  }

  enabled_log {
    category = "AzurePolicyEvaluationDetails"
  }

  enabled_metric {
    category = "AllMetrics"
  }
}

moved {
  from = azurerm_monitor_diagnostic_setting.main
  to   = azurerm_monitor_diagnostic_setting.main["vault"]
}

resource "azurerm_management_lock" "main" {
  for_each = { for name, vault in azurerm_key_vault.main : "delete" => vault if var.vault.delete_lock }

  name       = var.names.lock
  scope      = each.value.id
  lock_level = "CanNotDelete"
  notes      = "Without the vault no service opens its database."

  # Locks are created last and destroyed first
  depends_on = [
    var.locked_after,
    azurerm_monitor_diagnostic_setting.main,
    module.endpoints,
    azurerm_role_assignment.databases_key,
    azurerm_role_assignment.deployer,
    azurerm_role_assignment.foreign_secret,
    azurerm_role_assignment.secret,
  ]
}
