# A witness for the log of an audit register, in a subscription of its own: whoever operates the register must have no
# role here. It has its own state.

terraform {
  required_version = ">= 1.11"

  required_providers {
    azurerm = {
      source  = "hashicorp/azurerm"
      version = "~> 5.2"
    }
  }

  backend "azurerm" {}
}

provider "azurerm" {
  resource_provider_registrations = "none"
  # Spelled as Resource Manager spells them, and as many as ../terraform.tf needs for the same reasons
  resource_providers_to_register = [
    "Microsoft.AlertsManagement",
    "Microsoft.App",
    "Microsoft.ContainerService",
    "Microsoft.KeyVault",
    "Microsoft.ManagedIdentity",
    "Microsoft.Network",
    "Microsoft.OperationalInsights",
    "Microsoft.Storage",
    "microsoft.insights",
  ]
  storage_use_azuread = true

  features {
    application_insights {
      disable_generated_rule = true
    }
    key_vault {
      purge_soft_delete_on_destroy    = false
      recover_soft_deleted_key_vaults = true
      recover_soft_deleted_secrets    = true
    }
    resource_group {
      prevent_deletion_if_contains_resources = true
    }
  }
}

data "azurerm_client_config" "current" {}

locals {
  suffix = substr(sha256("${data.azurerm_client_config.current.subscription_id}/${var.name}"), 0, 6)
  tags   = merge(var.tags, { system = var.name })

  dns_zones = {
    vault = "privatelink.vaultcore.azure.net"
    blob  = "privatelink.blob.core.windows.net"
  }
  endpoint_targets = {
    vault = azurerm_key_vault.main.id
    blob  = azurerm_storage_account.main.id
  }
}

resource "azurerm_resource_group" "main" {
  name     = "rg-${var.name}"
  location = var.location
  tags     = local.tags
}

resource "azurerm_user_assigned_identity" "main" {
  name                = "id-${var.name}"
  location            = var.location
  resource_group_name = azurerm_resource_group.main.name
  tags                = local.tags
}
