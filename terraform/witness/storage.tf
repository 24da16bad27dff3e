# The state of each log, and every checkpoint that was cosigned. Nobody can change or delete a checkpoint before the end
# of its retention, once the policy is locked.

resource "azurerm_storage_account" "main" {
  # checkov:skip=CKV_AZURE_33: it has no queues
  # checkov:skip=CKV_AZURE_36: no Azure service needs access
  # checkov:skip=CKV_AZURE_59: reachable from deployer_ip_ranges and the private endpoint only
  # checkov:skip=CKV2_AZURE_1: it holds nothing that is secret; the platform encrypts it twice

  name                     = "st${replace(var.name, "-", "")}${local.suffix}"
  location                 = var.location
  resource_group_name      = azurerm_resource_group.main.name
  account_kind             = "StorageV2"
  account_tier             = "Standard"
  account_replication_type = var.storage_replication
  min_tls_version          = "TLS1_2"
  tags                     = local.tags

  https_traffic_only_enabled        = true
  infrastructure_encryption_enabled = true
  allow_nested_items_to_be_public   = false
  cross_tenant_replication_enabled  = false
  local_user_enabled                = false
  shared_access_key_enabled         = false
  default_to_oauth_authentication   = true
  public_network_access_enabled     = length(var.deployer_ip_ranges) > 0

  network_rules {
    default_action = "Deny"
    bypass         = ["None"]
    ip_rules       = var.deployer_ip_ranges
  }

  blob_properties {
    # Shows a state that was set back
    versioning_enabled = true

    delete_retention_policy {
      days = 365
    }

    container_delete_retention_policy {
      days = 365
    }
  }
}

resource "azurerm_storage_container" "main" {
  for_each = toset(["state", "checkpoints"])

  name                  = each.key
  storage_account_id    = azurerm_storage_account.main.id
  container_access_type = "private"
}

resource "azurerm_storage_container_immutability_policy" "checkpoints" {
  storage_container_resource_manager_id = azurerm_storage_container.main["checkpoints"].id
  immutability_period_in_days           = var.retention_days
  locked                                = var.retention_locked
  protected_append_writes_all_enabled   = false
}

resource "azurerm_role_assignment" "container" {
  for_each = azurerm_storage_container.main

  scope                = each.value.id
  role_definition_name = "Storage Blob Data Contributor"
  principal_id         = azurerm_user_assigned_identity.main.principal_id
  principal_type       = "ServicePrincipal"
  description          = "witness: ${each.key}"
}

# Auditors compare the checkpoints with those of the register
resource "azurerm_role_assignment" "reader" {
  for_each = toset(var.reader_object_ids)

  scope                = azurerm_storage_container.main["checkpoints"].id
  role_definition_name = "Storage Blob Data Reader"
  principal_id         = each.key
  description          = "auditor: checkpoints"
}

resource "azurerm_management_lock" "storage" {
  name       = "delete-${var.name}"
  scope      = azurerm_storage_account.main.id
  lock_level = "CanNotDelete"
  notes      = "A witness that loses its state could cosign a second history of a log."

  depends_on = [azurerm_private_endpoint.main, azurerm_role_assignment.container, azurerm_monitor_diagnostic_setting.storage]
}
