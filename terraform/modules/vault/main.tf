# The vault, its secrets, and the access rights on them.

resource "azurerm_key_vault" "main" {
  name                          = var.names.vault
  location                      = var.location
  resource_group_name           = var.resource_group_name
  tenant_id                     = var.tenant_id
  sku_name                      = var.sku_name
  rbac_authorization_enabled    = true
  purge_protection_enabled      = true
  soft_delete_retention_days    = 90
  public_network_access_enabled = length(var.deployer_ip_ranges) > 0
  tags                          = var.tags

  network_acls {
    default_action = "Deny"
    # Only Cosmos DB with a customer-managed key and API Management with a certificate connect as trusted Azure services
    bypass   = var.customer_managed_key_enabled || var.certificate_enabled ? "AzureServices" : "None"
    ip_rules = var.deployer_ip_ranges
  }
}

resource "azurerm_private_endpoint" "main" {
  for_each = var.networks

  name                = "${var.names.endpoint}-${each.key}"
  location            = each.value.location
  resource_group_name = each.value.resource_group_name
  subnet_id           = each.value.subnet_ids["endpoints"]
  tags                = var.tags

  private_service_connection {
    name                           = "vault"
    private_connection_resource_id = azurerm_key_vault.main.id
    subresource_names              = ["vault"]
    is_manual_connection           = false
  }

  private_dns_zone_group {
    name                 = "vault"
    private_dns_zone_ids = [each.value.dns_zone_ids["vault"]]
  }
}

# The only role on the whole vault
resource "azurerm_role_assignment" "deployer" {
  scope                = azurerm_key_vault.main.id
  role_definition_name = var.customer_managed_key_enabled ? "Key Vault Administrator" : "Key Vault Secrets Officer"
  principal_id         = var.deployer_object_id
  description          = "Deployer: creates the secrets"
}

resource "azurerm_key_vault_secret" "main" {
  # checkov:skip=CKV_AZURE_41: rotation sets the expiry of a version when it supersedes it; an earlier expiry would cause an outage

  for_each = var.secrets

  name             = each.key
  key_vault_id     = azurerm_key_vault.main.id
  value_wo         = var.secret_values[each.key]
  value_wo_version = 1
  content_type     = "text/plain"

  lifecycle {
    # From here on, rotation manages them: values, times, and the tag that names the previous version
    ignore_changes = [value_wo_version, content_type, expiration_date, not_before_date, tags]
  }

  depends_on = [azurerm_role_assignment.deployer, azurerm_private_endpoint.main]
}

# The scope is one secret with all its versions; the id of the secret resource names only one version
resource "azurerm_role_assignment" "secret" {
  for_each = var.access

  scope                = "${azurerm_key_vault.main.id}/secrets/${azurerm_key_vault_secret.main[each.value.secret].name}"
  role_definition_name = each.value.role
  principal_id         = var.identities[each.value.identity]
  principal_type       = "ServicePrincipal"
  description          = "${each.value.identity}: ${each.value.secret}"
}

# Secrets that are stored by hand: the secret of a certificate, which contains its private key, or a subscription key
resource "azurerm_role_assignment" "foreign_secret" {
  for_each = var.foreign_secrets

  scope                = "${azurerm_key_vault.main.id}/secrets/${each.value.secret}"
  role_definition_name = "Key Vault Secrets User"
  principal_id         = var.identities[each.value.identity]
  principal_type       = "ServicePrincipal"
  description          = "${each.value.identity}: ${each.value.secret}"
}

resource "azurerm_key_vault_key" "databases" {
  # checkov:skip=CKV_AZURE_40: its rotation policy sets the expiry of each version
  # checkov:skip=CKV_AZURE_112: depends on vault_sku, which environments/prod.tfvars sets

  for_each = toset(var.customer_managed_key_enabled ? ["databases"] : [])

  name         = var.names.customer_managed
  key_vault_id = azurerm_key_vault.main.id
  key_type     = var.sku_name == "premium" ? "RSA-HSM" : "RSA"
  key_size     = 3072
  key_opts     = ["unwrapKey", "wrapKey"]
  tags         = var.tags

  rotation_policy {
    expire_after         = "P2Y"
    notify_before_expiry = "P30D"

    automatic {
      time_after_creation = "P1Y"
    }
  }

  depends_on = [azurerm_role_assignment.deployer, azurerm_private_endpoint.main]
}

resource "azurerm_role_assignment" "databases_key" {
  for_each = azurerm_key_vault_key.databases

  scope                = each.value.resource_versionless_id
  role_definition_name = "Key Vault Crypto Service Encryption User"
  principal_id         = var.identities["databases"]
  principal_type       = "ServicePrincipal"
  description          = "databases: ${var.names.customer_managed}"
}

resource "azurerm_monitor_diagnostic_setting" "main" {
  name                       = var.names.diagnostic_setting
  target_resource_id         = azurerm_key_vault.main.id
  log_analytics_workspace_id = var.log_analytics_workspace_id

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

resource "azurerm_management_lock" "main" {
  for_each = toset(var.delete_lock_enabled ? ["delete"] : [])

  name       = var.names.lock
  scope      = azurerm_key_vault.main.id
  lock_level = "CanNotDelete"
  notes      = "Without the vault no service opens its database."

  # Locks are created last and destroyed first
  depends_on = [
    var.locked_after,
    azurerm_monitor_diagnostic_setting.main,
    azurerm_private_endpoint.main,
    azurerm_role_assignment.databases_key,
    azurerm_role_assignment.deployer,
    azurerm_role_assignment.foreign_secret,
    azurerm_role_assignment.secret,
  ]
}
