# The databases: private, with Strong consistency, and with the collections of the services.

mock_provider "azurerm" {
  source = "./tests/mocks"

  override_resource {
    target = azurerm_cosmosdb_account.main["audit"]
    values = {
      id                                = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.DocumentDB/databaseAccounts/cosmos-audit"
      primary_key                       = "audit/key+of=="
      primary_mongodb_connection_string = "mongodb://cosmos-audit:audit/key+of==@cosmos-audit.mongo.cosmos.azure.com:10255/?ssl=true"
    }
  }

  override_resource {
    target = azurerm_cosmosdb_account.main["patient"]
    values = {
      id                                = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.DocumentDB/databaseAccounts/cosmos-patient"
      primary_key                       = "patient/key+of=="
      primary_mongodb_connection_string = "mongodb://cosmos-patient:patient/key+of==@cosmos-patient.mongo.cosmos.azure.com:10255/?ssl=true"
    }
  }
}

variables {
  context  = { location = "westeurope", resource_group_name = "rg-mock", tags = {}, workspace_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.OperationalInsights/workspaces/log-mock" }
  database = { kind = "serverless", max_throughput = 4000, backup_tier = "Continuous7Days", vcore = { compute_tier = "M30", storage_size_in_gb = 128, shard_count = 1 }, zone_redundant = false, delete_lock = false }
  names = {
    accounts           = { patient = "cosmos-patient", audit = "cosmos-audit" }
    endpoints          = { patient = "pe-patient", audit = "pe-audit" }
    lock               = "delete-mock"
    diagnostic_setting = "log-analytics"
  }
  collections = {
    patient = {
      patients = { indexes = [["lastUpdated", "_id"], ["postCode", "_id"]] }
      claims   = { indexes = [["expires"]], ttl_seconds = 86400 }
    }
    audit = {
      blocks = { indexes = [["records.id"]] }
    }
  }
  failover_locations = []
  identities = {
    patient = { client_id = "00000000-0000-0000-0000-000000000c0a", principal_id = "00000000-0000-0000-0000-000000000b0a" }
    audit   = { client_id = "00000000-0000-0000-0000-000000000c0b", principal_id = "00000000-0000-0000-0000-000000000b0b" }
  }
  networks = {
    primary = {
      location            = "westeurope"
      resource_group_name = "rg-mock"
      subnet_ids          = { endpoints = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/virtualNetworks/vnet-mock/subnets/snet-endpoints" }
      dns_zone_ids        = { database = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/privateDnsZones/privatelink.mongo.cosmos.azure.com" }
    }
  }
  rotation = { principal_id = "00000000-0000-0000-0000-000000000a02", role = "Cosmos DB key rotation (mock)" }
}

run "serverless" {
  module {
    source = "./modules/data"
  }

  assert {
    condition     = toset(keys(azurerm_cosmosdb_account.main)) == toset(["audit", "patient"]) && length(azurerm_mongo_cluster.main) == 0 && length(azurerm_mongo_cluster_user.main) == 0
    error_message = "Each service has an account of its own."
  }

  assert {
    condition     = alltrue([for account in azurerm_cosmosdb_account.main : account.kind == "MongoDB" && account.mongo_server_version == "7.0" && account.minimal_tls_version == "Tls12"])
    error_message = "The accounts speak MongoDB 7.0 over TLS 1.2."
  }

  assert {
    condition     = alltrue([for account in azurerm_cosmosdb_account.main : account.consistency_policy[0].consistency_level == "Strong" && !account.multiple_write_locations_enabled && length(account.geo_location) == 1])
    error_message = "Consistency is Strong, with one write region."
  }

  assert {
    condition     = alltrue([for account in azurerm_cosmosdb_account.main : toset([for capability in account.capabilities : capability.name]) == toset(["EnableMongo", "EnableServerless"])])
    error_message = "The accounts are serverless."
  }

  assert {
    condition     = alltrue([for account in azurerm_cosmosdb_account.main : !account.public_network_access_enabled && !account.network_acl_bypass_for_azure_services && length(coalesce(account.ip_range_filter, [])) == 0])
    error_message = "The accounts have no public access and no exceptions."
  }

  assert {
    condition     = alltrue([for account in azurerm_cosmosdb_account.main : !account.access_key_metadata_writes_enabled])
    error_message = "Keys give access to documents, not to the settings of the account."
  }

  assert {
    condition     = alltrue([for account in azurerm_cosmosdb_account.main : account.backup[0].type == "Continuous" && account.backup[0].tier == "Continuous7Days"])
    error_message = "Backup is continuous."
  }

  assert {
    condition = alltrue([
      for service in ["audit", "patient"] :
      module.endpoints.endpoints["${service}/primary"].private_service_connection[0].private_connection_resource_id == azurerm_cosmosdb_account.main[service].id &&
      module.endpoints.endpoints["${service}/primary"].private_service_connection[0].subresource_names[0] == "MongoDB" &&
      endswith(module.endpoints.endpoints["${service}/primary"].subnet_id, "/snet-endpoints") &&
      endswith(module.endpoints.endpoints["${service}/primary"].private_dns_zone_group[0].private_dns_zone_ids[0], "/privatelink.mongo.cosmos.azure.com")
    ])
    error_message = "The name of each account resolves to its private endpoint."
  }

  assert {
    condition     = alltrue([for service, database in azurerm_cosmosdb_mongo_database.main : database.name == service && length(database.autoscale_settings) == 0])
    error_message = "Each account has the database of its service, without a throughput setting if it is serverless."
  }

  assert {
    condition     = alltrue([for collection in azurerm_cosmosdb_mongo_collection.main : collection.shard_key == "_shardKey" && length(collection.autoscale_settings) == 0])
    error_message = "Each collection is sharded by _shardKey."
  }

  assert {
    condition = {
      for key, collection in azurerm_cosmosdb_mongo_collection.main : key => toset([for index in collection.index : "${join(",", index.keys)}${index.unique ? " unique" : ""}"])
      } == {
      "audit/blocks"     = toset(["_id unique", "records.id"])
      "patient/claims"   = toset(["_id unique", "expires"])
      "patient/patients" = toset(["_id unique", "lastUpdated,_id", "postCode,_id"])
    }
    error_message = "Each collection has its indexes, and none is unique but _id."
  }

  assert {
    condition     = azurerm_cosmosdb_mongo_collection.main["patient/claims"].default_ttl_seconds == 86400 && azurerm_cosmosdb_mongo_collection.main["patient/patients"].default_ttl_seconds == null && azurerm_cosmosdb_mongo_collection.main["audit/blocks"].default_ttl_seconds == null
    error_message = "Claims expire, patients and records never."
  }

  assert {
    condition     = { for service, assignment in azurerm_role_assignment.rotation : service => "${assignment.scope} ${assignment.role_definition_name} ${assignment.principal_id}" } == { for service, account in azurerm_cosmosdb_account.main : service => "${account.id} Cosmos DB key rotation (mock) 00000000-0000-0000-0000-000000000a02" }
    error_message = "Rotation can regenerate the keys of each account and do nothing else with it."
  }

  assert {
    condition     = alltrue([for setting in azurerm_monitor_diagnostic_setting.main : [for log in setting.enabled_log : log.category] == ["ControlPlaneRequests"] && [for metric in setting.enabled_metric : metric.category] == ["Requests"]]) && length(azurerm_monitor_diagnostic_setting.main) == 2
    error_message = "Diagnostics contain no text of commands, which is health data."
  }

  assert {
    condition     = output.connection_strings["patient"] == "mongodb://cosmos-patient:patient%2Fkey%2Bof%3D%3D@cosmos-patient.mongo.cosmos.azure.com:10255/?ssl=true"
    error_message = "The key in a connection string is percent-encoded, as drivers require."
  }

  assert {
    condition     = length(azurerm_management_lock.main) == 0 && alltrue([for account in azurerm_cosmosdb_account.main : account.key_vault_key_id == null && length(account.identity) == 0])
    error_message = "Lock and customer-managed key are optional."
  }
}

run "autoscale_in_two_regions" {
  module {
    source = "./modules/data"
  }

  variables {
    failover_locations   = ["northeurope"]
    customer_managed_key = { id = "https://kv-mock.vault.azure.net/keys/databases", identity_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-databases" }
    database             = { kind = "autoscale", max_throughput = 4000, backup_tier = "Continuous30Days", vcore = { compute_tier = "M30", storage_size_in_gb = 128, shard_count = 1 }, zone_redundant = true, delete_lock = true }
  }

  assert {
    condition     = alltrue([for account in azurerm_cosmosdb_account.main : [for capability in account.capabilities : capability.name] == ["EnableMongo"]]) && alltrue([for database in azurerm_cosmosdb_mongo_database.main : database.autoscale_settings[0].max_throughput == 4000])
    error_message = "Throughput is provisioned, and shared by the collections of a database."
  }

  assert {
    condition = alltrue([
      for account in azurerm_cosmosdb_account.main : { for place in account.geo_location : place.location => "${place.failover_priority} ${place.zone_redundant}" } == { westeurope = "0 true", northeurope = "1 true" }
    ])
    error_message = "Each region has a replica, spread over its availability zones."
  }

  assert {
    condition     = alltrue([for account in azurerm_cosmosdb_account.main : account.automatic_failover_enabled && !account.multiple_write_locations_enabled && account.consistency_policy[0].consistency_level == "Strong"])
    error_message = "There is one write region, with automatic failover."
  }

  assert {
    condition     = alltrue([for account in azurerm_cosmosdb_account.main : account.backup[0].tier == "Continuous30Days"])
    error_message = "Any point in time of the last 30 days can be restored."
  }

  assert {
    condition     = alltrue([for account in azurerm_cosmosdb_account.main : account.key_vault_key_id == "https://kv-mock.vault.azure.net/keys/databases" && endswith(account.default_identity_type, "/id-databases") && startswith(account.default_identity_type, "UserAssignedIdentity=") && endswith(one(account.identity[0].identity_ids), "/id-databases")])
    error_message = "A key in the vault encrypts the databases."
  }

  assert {
    condition     = { for service, lock in azurerm_management_lock.main : service => "${lock.lock_level} ${lock.scope}" } == { for service, account in azurerm_cosmosdb_account.main : service => "CanNotDelete ${account.id}" }
    error_message = "The accounts have delete locks."
  }
}

run "vcore" {
  module {
    source = "./modules/data"
  }

  variables {
    database = { kind = "vcore", max_throughput = 1000, backup_tier = "Continuous7Days", vcore = { compute_tier = "M30", storage_size_in_gb = 128, shard_count = 1 }, zone_redundant = false, delete_lock = false }
  }

  assert {
    condition     = length(azurerm_cosmosdb_account.main) == 0 && length(azurerm_cosmosdb_mongo_collection.main) == 0 && toset(keys(azurerm_mongo_cluster.main)) == toset(["audit", "patient"])
    error_message = "Each service has a cluster of its own."
  }

  assert {
    condition     = alltrue([for cluster in azurerm_mongo_cluster.main : cluster.public_network_access == "Disabled" && cluster.compute_tier == "M30"])
    error_message = "The clusters have no public access."
  }

  assert {
    condition     = alltrue([for endpoint in module.endpoints.endpoints : endpoint.private_service_connection[0].subresource_names[0] == "MongoCluster"])
    error_message = "Each cluster has a private endpoint."
  }

  assert {
    condition     = alltrue([for cluster in azurerm_mongo_cluster.main : cluster.authentication_methods == toset(["MicrosoftEntraID"]) && cluster.administrator_username == null && cluster.administrator_password == null])
    error_message = "The clusters accept tokens of Entra ID only, and have no password."
  }

  assert {
    condition = {
      for service, user in azurerm_mongo_cluster_user.main : service => "${user.object_id} ${user.identity_provider_type} ${user.principal_type}"
      } == {
      audit   = "00000000-0000-0000-0000-000000000b0b MicrosoftEntraID servicePrincipal"
      patient = "00000000-0000-0000-0000-000000000b0a MicrosoftEntraID servicePrincipal"
    } && alltrue([for service, user in azurerm_mongo_cluster_user.main : user.mongo_cluster_id == azurerm_mongo_cluster.main[service].id && user.role == tolist([{ database = "admin", name = "root" }])])
    error_message = "Each cluster lets in the identity of its service, and nobody else."
  }

  assert {
    condition     = output.connection_strings["patient"] == "mongodb+srv://00000000-0000-0000-0000-000000000c0a@cosmos-patient.mongocluster.cosmos.azure.com/?tls=true&authMechanism=MONGODB-OIDC&retrywrites=false&maxIdleTimeMS=120000"
    error_message = "A connection string names the identity whose tokens the service sends, and contains no password."
  }

  assert {
    condition     = length(azurerm_role_assignment.rotation) == 0
    error_message = "Rotation has no role on a cluster, which has no keys."
  }
}
