# The vault with the key of the witness. It is no vault of the register, and its identity has no role there.

resource "azurerm_key_vault" "main" {
  name                          = "kv-${var.name}-${local.suffix}"
  location                      = var.location
  resource_group_name           = azurerm_resource_group.main.name
  tenant_id                     = data.azurerm_client_config.current.tenant_id
  sku_name                      = "standard"
  rbac_authorization_enabled    = true
  purge_protection_enabled      = true
  soft_delete_retention_days    = 90
  public_network_access_enabled = length(var.deployer_ip_ranges) > 0
  tags                          = local.tags

  network_acls {
    default_action = "Deny"
    bypass         = "None"
    ip_rules       = var.deployer_ip_ranges
  }
}

resource "azurerm_role_assignment" "deployer" {
  scope                = azurerm_key_vault.main.id
  role_definition_name = "Key Vault Secrets Officer"
  principal_id         = coalesce(var.deployer_object_id, data.azurerm_client_config.current.object_id)
  description          = "Deployer: creates the key"
}

resource "azurerm_key_vault_secret" "main" {
  # checkov:skip=CKV_AZURE_41: rotation sets the expiry of a version when another supersedes it

  name             = "witness-key"
  key_vault_id     = azurerm_key_vault.main.id
  value_wo         = var.witness_key
  value_wo_version = 1
  content_type     = "text/plain"

  lifecycle {
    ignore_changes = [value_wo_version, content_type, expiration_date, not_before_date, tags]
  }

  depends_on = [azurerm_role_assignment.deployer, azurerm_private_endpoint.main]
}

# The only secret that it can read
resource "azurerm_role_assignment" "secret" {
  scope                = "${azurerm_key_vault.main.id}/secrets/${azurerm_key_vault_secret.main.name}"
  role_definition_name = "Key Vault Secrets User"
  principal_id         = azurerm_user_assigned_identity.main.principal_id
  principal_type       = "ServicePrincipal"
  description          = "witness: witness-key"
}
