# Where the states of the environments are kept: made once, before the first of them, with a state of its own on the
# machine of whoever makes it. Blobs are locked by leases while Terraform runs.

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
  # checkov:skip=CKV_AZURE_36: no service of the platform has a business with states
  # checkov:skip=CKV_AZURE_59: reached from deployer_ip_ranges, by identities alone
  # checkov:skip=CKV2_AZURE_1: made before there is a vault; encrypted twice by the platform
  # checkov:skip=CKV2_AZURE_33: made before there is a network

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
  # Identities alone: a state holds keys of databases
  shared_access_key_enabled       = false
  default_to_oauth_authentication = true
  public_network_access_enabled   = true

  network_rules {
    default_action = "Deny"
    bypass         = ["None"]
    ip_rules       = var.deployer_ip_ranges
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
  # checkov:skip=CKV2_AZURE_21: made before there is a workspace; changes are in the versions of the blobs

  name                  = "states"
  storage_account_id    = azurerm_storage_account.main.id
  container_access_type = "private"
}

# Whoever deploys reads and writes states; being an owner of the subscription is not enough
resource "azurerm_role_assignment" "deployer" {
  scope                = azurerm_storage_container.main.id
  role_definition_name = "Storage Blob Data Contributor"
  principal_id         = var.deployer_object_id
}

resource "azurerm_management_lock" "main" {
  name       = "delete-state"
  scope      = azurerm_storage_account.main.id
  lock_level = "CanNotDelete"
  notes      = "Without its state an environment cannot be changed."

  depends_on = [azurerm_storage_container.main]
}
