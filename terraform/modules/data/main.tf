# Two accounts with the API for MongoDB, one for each service. They share no data, keys or access rights.

locals {
  services      = toset(keys(var.collections))
  account_names = var.database.kind == "vcore" ? toset([]) : local.services
  cluster_names = var.database.kind == "vcore" ? local.services : toset([])

  collections = {
    for collection in flatten([
      for service, collections in var.collections : [
        for name, collection in collections : merge(collection, { service = service, name = name })
      ]
    ]) : "${collection.service}/${collection.name}" => collection
  }

  account_ids = merge(
    { for service, account in azurerm_cosmosdb_account.main : service => account.id },
    { for service, cluster in azurerm_mongo_cluster.main : service => cluster.id },
  )

  endpoints = {
    for pair in setproduct(local.services, keys(var.networks)) : "${pair[0]}/${pair[1]}" => { service = pair[0], region = pair[1] }
  }
}

resource "azurerm_cosmosdb_account" "main" {
  for_each = local.account_names

  name                 = var.names.accounts[each.key]
  location             = var.context.location
  resource_group_name  = var.context.resource_group_name
  offer_type           = "Standard"
  kind                 = "MongoDB"
  mongo_server_version = "7.0"
  minimal_tls_version  = "Tls12"

  public_network_access_enabled         = false
  network_acl_bypass_for_azure_services = false
  access_key_metadata_writes_enabled    = false

  # Conditional writes need a single write region
  multiple_write_locations_enabled = false
  automatic_failover_enabled       = length(var.failover_locations) > 0

  key_vault_key_id      = var.customer_managed_key.id
  default_identity_type = var.customer_managed_key.identity_id == null ? null : "UserAssignedIdentity=${var.customer_managed_key.identity_id}"
  tags                  = var.context.tags

  dynamic "capabilities" {
    for_each = var.database.kind == "serverless" ? ["EnableMongo", "EnableServerless"] : ["EnableMongo"]

    content {
      name = capabilities.value
    }
  }

  # Reads must see earlier writes, and If-Match must be reliable
  consistency_policy {
    consistency_level = "Strong"
  }

  geo_location {
    location          = var.context.location
    failover_priority = 0
    zone_redundant    = var.database.zone_redundant
  }

  dynamic "geo_location" {
    for_each = { for index, location in var.failover_locations : location => index + 1 }

    content {
      location          = geo_location.key
      failover_priority = geo_location.value
      zone_redundant    = var.database.zone_redundant
    }
  }

  backup {
    type = "Continuous"
    tier = var.database.backup_tier
  }

  dynamic "identity" {
    for_each = var.customer_managed_key.identity_id == null ? [] : [var.customer_managed_key.identity_id]

    content {
      type         = "UserAssigned"
      identity_ids = [identity.value]
    }
  }
}

resource "azurerm_cosmosdb_mongo_database" "main" {
  for_each = azurerm_cosmosdb_account.main

  name                = each.key
  resource_group_name = var.context.resource_group_name
  account_name        = each.value.name

  # Shared by the collections; serverless accounts have no throughput setting
  dynamic "autoscale_settings" {
    for_each = var.database.kind == "autoscale" ? [var.database.max_throughput] : []

    content {
      max_throughput = autoscale_settings.value
    }
  }
}

# Not for vCore clusters: there the services create collections and indexes when they start
resource "azurerm_cosmosdb_mongo_collection" "main" {
  for_each = var.database.kind == "vcore" ? {} : local.collections

  name                = each.value.name
  resource_group_name = var.context.resource_group_name
  account_name        = azurerm_cosmosdb_account.main[each.value.service].name
  database_name       = azurerm_cosmosdb_mongo_database.main[each.value.service].name
  shard_key           = "_shardKey"
  # Cosmos DB counts the expiry time from the last write, not from a field
  default_ttl_seconds = each.value.ttl_seconds

  # The provider demands this index, always sends unique, and reads it back as true. The service refused it for some weeks
  # of 2024 (hashicorp/terraform-provider-azurerm#24853, closed; #26687); the provider's acceptance tests send true since.
  index {
    keys   = ["_id"]
    unique = true
  }

  dynamic "index" {
    for_each = each.value.indexes

    content {
      keys   = index.value
      unique = false
    }
  }
}

resource "azurerm_mongo_cluster" "main" {
  for_each = local.cluster_names

  name                = var.names.accounts[each.key]
  location            = var.context.location
  resource_group_name = var.context.resource_group_name
  version             = "8.0"
  # Without an administrator there is no password, in no state and no vault. The service accepts this at creation,
  # azurerm since 5.2 (hashicorp/terraform-provider-azurerm#32092, #33108).
  authentication_methods = ["MicrosoftEntraID"]
  compute_tier           = var.database.vcore.compute_tier
  storage_size_in_gb     = var.database.vcore.storage_size_in_gb
  shard_count            = var.database.vcore.shard_count
  high_availability_mode = var.database.zone_redundant ? "ZoneRedundantPreferred" : "Disabled"
  public_network_access  = "Disabled"
  tags                   = var.context.tags

  dynamic "customer_managed_key" {
    for_each = var.customer_managed_key.identity_id == null ? [] : [var.customer_managed_key.identity_id]

    content {
      key_vault_key_id          = var.customer_managed_key.id
      user_assigned_identity_id = customer_managed_key.value
    }
  }

  dynamic "identity" {
    for_each = var.customer_managed_key.identity_id == null ? [] : [var.customer_managed_key.identity_id]

    content {
      type         = "UserAssigned"
      identity_ids = [identity.value]
    }
  }
}

# The service's own identity, and nobody else. The service has one role only for users that Resource Manager knows, root;
# it is limited to the cluster, which has the data of one service.
resource "azurerm_mongo_cluster_user" "main" {
  for_each = azurerm_mongo_cluster.main

  mongo_cluster_id       = each.value.id
  object_id              = var.identities[each.key].principal_id
  identity_provider_type = "MicrosoftEntraID"
  # Managed identities are service principals (hashicorp/terraform-provider-azurerm#32024)
  principal_type = "servicePrincipal"

  role {
    database = "admin"
    name     = "root"
  }
}

module "endpoints" {
  source = "../endpoints"

  networks = var.networks
  tags     = var.context.tags

  endpoints = {
    for key, endpoint in local.endpoints : key => {
      name        = "${var.names.endpoints[endpoint.service]}-${endpoint.region}"
      region      = endpoint.region
      service     = endpoint.service
      subresource = var.database.kind == "vcore" ? "MongoCluster" : "MongoDB"
      resource_id = local.account_ids[endpoint.service]
      zones       = ["database"]
    }
  }
}

moved {
  from = azurerm_private_endpoint.main
  to   = module.endpoints.azurerm_private_endpoint.main
}

resource "azurerm_role_assignment" "rotation" {
  for_each = azurerm_cosmosdb_account.main

  scope                = each.value.id
  role_definition_name = var.rotation.role
  principal_id         = var.rotation.principal_id
  principal_type       = "ServicePrincipal"
  description          = "rotation: keys of the ${each.key} account"
}

# MongoRequests and similar categories contain the text of commands, which is health data: control plane and metrics only
resource "azurerm_monitor_diagnostic_setting" "main" {
  for_each = azurerm_cosmosdb_account.main

  name                           = var.names.diagnostic_setting
  target_resource_id             = each.value.id
  log_analytics_workspace_id     = var.context.workspace_id
  log_analytics_destination_type = "Dedicated"

  enabled_log {
    category = "ControlPlaneRequests"
  }

  enabled_metric {
    category = "Requests"
  }
}

resource "azurerm_management_lock" "main" {
  for_each = var.database.delete_lock ? local.services : toset([])

  name       = var.names.lock
  scope      = local.account_ids[each.key]
  lock_level = "CanNotDelete"
  notes      = "Health data and their register."

  # Locks are created last and destroyed first
  depends_on = [
    azurerm_cosmosdb_mongo_collection.main,
    azurerm_mongo_cluster_user.main,
    azurerm_monitor_diagnostic_setting.main,
    module.endpoints,
    azurerm_role_assignment.rotation,
  ]
}
