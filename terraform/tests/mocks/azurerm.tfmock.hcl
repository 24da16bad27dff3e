# What the real provider would compute: ids of the right kind, since it checks them where they are used.

mock_resource "azurerm_api_management" {
  defaults = {
    id                   = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.ApiManagement/service/apim-mock"
    gateway_url          = "https://apim-mock.azure-api.net"
    private_ip_addresses = ["10.64.0.36"]
    identity = {
      principal_id = "00000000-0000-0000-0000-00000000a91a"
      tenant_id    = "00000000-0000-0000-0000-000000007e4a"
    }
  }
}

mock_resource "azurerm_api_management_logger" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.ApiManagement/service/apim-mock/loggers/application-insights"
  }
}

mock_resource "azurerm_application_insights" {
  defaults = {
    id                = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Insights/components/appi-mock"
    connection_string = "InstrumentationKey=00000000-0000-0000-0000-00000000a112;IngestionEndpoint=https://westeurope-5.in.applicationinsights.azure.com/"
  }
}

mock_resource "azurerm_application_insights_standard_web_test" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Insights/webTests/mock"
  }
}

mock_resource "azurerm_container_app" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.App/containerApps/mock"
  }
}

mock_resource "azurerm_container_app_environment" {
  defaults = {
    id                = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.App/managedEnvironments/cae-mock"
    default_domain    = "mock-0123abcd.westeurope.azurecontainerapps.io"
    static_ip_address = "10.64.0.30"
  }
}

mock_resource "azurerm_container_app_job" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.App/jobs/mock"
  }
}

mock_resource "azurerm_container_registry" {
  defaults = {
    id           = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.ContainerRegistry/registries/crmock"
    login_server = "crmock.azurecr.io"
  }
}

mock_resource "azurerm_cosmosdb_account" {
  defaults = {
    id                                = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.DocumentDB/databaseAccounts/cosmos-mock"
    primary_key                       = "mock+key/with=="
    primary_mongodb_connection_string = "mongodb://cosmos-mock:mock+key/with==@cosmos-mock.mongo.cosmos.azure.com:10255/?ssl=true&replicaSet=globaldb&retrywrites=false"
  }
}

mock_resource "azurerm_cosmosdb_mongo_database" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.DocumentDB/databaseAccounts/cosmos-mock/mongodbDatabases/mock"
  }
}

mock_resource "azurerm_key_vault" {
  defaults = {
    id        = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.KeyVault/vaults/kv-mock"
    vault_uri = "https://kv-mock.vault.azure.net/"
  }
}

mock_resource "azurerm_key_vault_key" {
  defaults = {
    id                      = "https://kv-mock.vault.azure.net/keys/databases/0123456789abcdef0123456789abcdef"
    versionless_id          = "https://kv-mock.vault.azure.net/keys/databases"
    resource_versionless_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.KeyVault/vaults/kv-mock/keys/databases"
  }
}

mock_resource "azurerm_key_vault_secret" {
  defaults = {
    id                      = "https://kv-mock.vault.azure.net/secrets/mock/0123456789abcdef0123456789abcdef"
    versionless_id          = "https://kv-mock.vault.azure.net/secrets/mock"
    resource_versionless_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.KeyVault/vaults/kv-mock/secrets/mock"
  }
}

mock_resource "azurerm_linux_virtual_machine_scale_set" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Compute/virtualMachineScaleSets/vmss-mock"
  }
}

mock_resource "azurerm_log_analytics_workspace" {
  defaults = {
    id           = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.OperationalInsights/workspaces/log-mock"
    workspace_id = "00000000-0000-0000-0000-00000000a111"
  }
}

mock_resource "azurerm_mongo_cluster" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.DocumentDB/mongoClusters/cosmos-mock"
  }
}

mock_resource "azurerm_mongo_cluster_user" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.DocumentDB/mongoClusters/cosmos-mock/users/00000000-0000-0000-0000-000000000b0a"
  }
}

mock_resource "azurerm_monitor_action_group" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Insights/actionGroups/ag-mock"
  }
}

mock_resource "azurerm_nat_gateway" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/natGateways/ng-mock"
  }
}

mock_resource "azurerm_network_ddos_protection_plan" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/ddosProtectionPlans/ddos-mock"
  }
}

mock_resource "azurerm_network_security_group" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/networkSecurityGroups/nsg-mock"
  }
}

mock_resource "azurerm_private_dns_zone" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/privateDnsZones/mock.example"
  }
}

mock_resource "azurerm_private_dns_zone_virtual_network_link" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/privateDnsZones/mock.example/virtualNetworkLinks/mock"
  }
}

mock_resource "azurerm_private_endpoint" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/privateEndpoints/pe-mock"
  }
}

mock_resource "azurerm_public_ip" {
  defaults = {
    id         = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/publicIPAddresses/pip-mock"
    ip_address = "203.0.113.7"
  }
}

mock_resource "azurerm_resource_group" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock"
  }
}

mock_resource "azurerm_storage_account" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Storage/storageAccounts/stmock"
  }
}

mock_resource "azurerm_subnet" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/virtualNetworks/vnet-mock/subnets/snet-mock"
  }
}

mock_resource "azurerm_subnet_nat_gateway_association" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/virtualNetworks/vnet-mock/subnets/snet-mock"
  }
}

mock_resource "azurerm_subnet_network_security_group_association" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/virtualNetworks/vnet-mock/subnets/snet-mock"
  }
}

mock_resource "azurerm_user_assigned_identity" {
  defaults = {
    id           = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-mock"
    client_id    = "00000000-0000-0000-0000-00000000c11e"
    principal_id = "00000000-0000-0000-0000-0000000b1ec7"
    tenant_id    = "00000000-0000-0000-0000-000000007e4a"
  }
}

mock_resource "azurerm_virtual_network" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/virtualNetworks/vnet-mock"
  }
}

mock_data "azurerm_client_config" {
  defaults = {
    client_id       = "00000000-0000-0000-0000-00000000c11e"
    object_id       = "00000000-0000-0000-0000-0000000deb10"
    subscription_id = "00000000-0000-0000-0000-000000000001"
    tenant_id       = "00000000-0000-0000-0000-000000007e4a"
  }
}

mock_data "azurerm_container_registry" {
  defaults = {
    id           = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.ContainerRegistry/registries/crhub"
    login_server = "crhub.azurecr.io"
    sku          = "Premium"
  }
}

mock_data "azurerm_key_vault" {
  defaults = {
    id                         = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.KeyVault/vaults/kv-hub"
    vault_uri                  = "https://kv-hub.vault.azure.net/"
    rbac_authorization_enabled = true
    purge_protection_enabled   = true
  }
}

mock_data "azurerm_log_analytics_workspace" {
  defaults = {
    id           = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.OperationalInsights/workspaces/log-hub"
    workspace_id = "00000000-0000-0000-0000-00000000b111"
  }
}

mock_data "azurerm_subnet" {
  defaults = {
    id               = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub/subnets/snet-hub"
    address_prefixes = ["10.9.0.0/26"]
  }
}

mock_resource "azurerm_monitor_private_link_scope" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Insights/privateLinkScopes/ampls-mock"
  }
}

mock_resource "azurerm_cdn_frontdoor_profile" {
  defaults = {
    id            = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Cdn/profiles/afd-mock"
    resource_guid = "00000000-0000-0000-0000-00000000afd1"
  }
}

mock_resource "azurerm_cdn_frontdoor_endpoint" {
  defaults = {
    id        = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Cdn/profiles/afd-mock/afdEndpoints/mock"
    host_name = "mock-0123.z01.azurefd.net"
  }
}

mock_resource "azurerm_cdn_frontdoor_origin_group" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Cdn/profiles/afd-mock/originGroups/gateway"
  }
}

mock_resource "azurerm_cdn_frontdoor_origin" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Cdn/profiles/afd-mock/originGroups/gateway/origins/gateway"
  }
}

mock_resource "azurerm_cdn_frontdoor_route" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Cdn/profiles/afd-mock/afdEndpoints/mock/routes/gateway"
  }
}

mock_resource "azurerm_cdn_frontdoor_custom_domain" {
  defaults = {
    id               = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Cdn/profiles/afd-mock/customDomains/mock"
    validation_token = "mock-token"
  }
}

mock_resource "azurerm_cdn_frontdoor_firewall_policy" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/frontDoorWebApplicationFirewallPolicies/wafmock"
  }
}

mock_resource "azurerm_web_application_firewall_policy" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/applicationGatewayWebApplicationFirewallPolicies/wafmock"
  }
}

mock_resource "azurerm_application_gateway" {
  defaults = {
    id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/applicationGateways/agw-mock"
  }
}
