# Storage of the Terraform states of all environments. Created once, before the first environment; its own state stays
# on the machine that created it. Terraform locks states with blob leases.

terraform {
  required_version = ">= 1.11"

  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 5.2"
    }
  }
}

provider "azurerm" {
  resource_provider_registrations = "none"
  resource_providers_to_register  = ["Microsoft.Storage"]
  storage_use_azuread             = true

  features {}
}

resource "azurerm_resource_group" "main" {
  name     = "rg-${var.name}-state"
  location = var.location
}

resource "azurerm_storage_account" "main" {
  # checkov:skip=CKV_AZURE_33: it has no queues
  # checkov:skip=CKV_AZURE_36: no Azure service needs access to states
  # checkov:skip=CKV_AZURE_59: reachable from deployer_ip_ranges only, with Entra ID authentication only
  # checkov:skip=CKV2_AZURE_1: created before the vault exists; the platform encrypts it twice
  # checkov:skip=CKV2_AZURE_33: created before the network exists

  name                     = var.storage_account_name
  location                 = var.location
  resource_group_name      = azurerm_resource_group.main.name
  account_kind             = "StorageV2"
  account_tier             = "Standard"
  account_replication_type = "GZRS"
  min_tls_version          = "TLS1_2"

  https_traffic_only_enabled        = true
  infrastructure_encryption_enabled = true
  allow_nested_items_to_be_public   = false
  cross_tenant_replication_enabled  = false
  local_user_enabled                = false
  # Entra ID authentication only, because states contain keys of databases
  shared_access_key_enabled       = false
  default_to_oauth_authentication = true
  public_network_access_enabled   = true

  network_rules {
    default_action = "Deny"
    bypass         = ["None"]
    ip_rules       = var.deployer_ip_ranges
    # Rules for addresses do not apply to machines in the region of the account
    # https://learn.microsoft.com/azure/storage/common/storage-network-security-limitations
    virtual_network_subnet_ids = var.deployer_subnet_ids
  }

  blob_properties {
    versioning_enabled = true

    delete_retention_policy {
      days = 90
    }

    container_delete_retention_policy {
      days = 90
    }
  }
}

resource "azurerm_storage_container" "main" {
  # checkov:skip=CKV2_AZURE_21: created before the workspace exists; blob versions show changes

  name                  = "states"
  storage_account_id    = azurerm_storage_account.main.id
  container_access_type = "private"
}

# The deployer needs a data role: owner of the subscription is not enough
resource "azurerm_role_assignment" "deployer" {
  for_each = var.deployer_object_ids

  scope                = azurerm_storage_container.main.id
  role_definition_name = "Storage Blob Data Contributor"
  principal_id         = each.value
}

resource "azurerm_management_lock" "main" {
  name       = "delete-state"
  scope      = azurerm_storage_account.main.id
  lock_level = "CanNotDelete"
  notes      = "Without its state an environment cannot be changed."

  # Role assignments are within its scope: a destruction removes the lock first
  depends_on = [azurerm_storage_container.main, azurerm_role_assignment.deployer]
}
