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
  # Register only the resource providers that this configuration uses, spelled as Resource Manager spells them:
  # azurerm compares the names with case, and Resource Manager answers microsoft.insights
  resource_provider_registrations = "none"
  resource_providers_to_register = [
    # Its rules: disable_generated_rule below waits for one of them (hashicorp/terraform-provider-azurerm#18026)
    "Microsoft.AlertsManagement",
    "Microsoft.ApiManagement",
    "Microsoft.App",
    # Front Door
    "Microsoft.Cdn",
    # The scale set of runners
    "Microsoft.Compute",
    "Microsoft.ContainerRegistry",
    # An environment of Container Apps in a virtual network demands it (Azure/bicep#14935)
    "Microsoft.ContainerService",
    "Microsoft.DocumentDB",
    "Microsoft.KeyVault",
    "Microsoft.ManagedIdentity",
    "Microsoft.Network",
    "Microsoft.OperationalInsights",
    # To it, the subnet of a gateway of a v2 tier is delegated
    "Microsoft.Web",
    "microsoft.insights",
  ]

  features {
    api_management {
      purge_soft_delete_on_destroy = true
    }
    application_insights {
      # Otherwise Azure would create a rule and an action group that outlive the environment
      disable_generated_rule = true
    }
    key_vault {
      # Purge protection forbids purging; a vault that is recreated under its old name is recovered
      purge_soft_delete_on_destroy    = false
      recover_soft_deleted_key_vaults = true
      recover_soft_deleted_secrets    = true
    }
    resource_group {
      prevent_deletion_if_contains_resources = true
    }
    virtual_machine_scale_set {
      # An apply may run on an instance, and would end itself
      roll_instances_when_required = false
    }
  }
}
