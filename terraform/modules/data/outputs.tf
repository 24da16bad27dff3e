output "account_ids" {
  description = "Ids of the accounts, by service."
  value       = local.account_ids
}

output "connection_strings" {
  description = "Connection strings for MongoDB drivers, by service, with percent-encoded keys."
  sensitive   = true
  value = merge(
    {
      for service, account in azurerm_cosmosdb_account.main : service =>
      replace(account.primary_mongodb_connection_string, account.primary_key, urlencode(account.primary_key))
    },
    {
      for service, cluster in azurerm_mongo_cluster.main : service => format(
        "mongodb+srv://%s:%s@%s.mongocluster.cosmos.azure.com/?tls=true&authMechanism=SCRAM-SHA-256&retrywrites=false&maxIdleTimeMS=120000",
        cluster.administrator_username, urlencode(var.vcore_passwords[service]), cluster.name
      )
    },
  )
  depends_on = [module.endpoints]
}
