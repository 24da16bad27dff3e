# Who opens what. services/access.json is the one table: the vault of one machine and this one follow it.

locals {
  table = jsondecode(file("${path.root}/../services/access.json"))

  # What of it there is on Azure: API Management keeps its subscriptions' keys itself, and accounts of Cosmos DB have no users
  secrets  = ["audit-db-connection", "audit-host-key", "patient-data-key", "patient-db-connection", "patient-host-key"]
  services = ["audit", "gateway", "patient", "rotation"]

  # A vCore cluster's password is changed by hand, so the rotation has no business with its connection string
  unrotated = var.database_kind == "vcore" ? ["audit-db-connection", "patient-db-connection"] : []

  access = {
    for opening in flatten([
      for identity in local.services : concat(
        [for secret in local.table[identity].read : { identity = identity, secret = secret, role = "Key Vault Secrets User" }],
        [
          for secret in local.table[identity].manage : { identity = identity, secret = secret, role = "Key Vault Secrets Officer" }
          if !contains(local.unrotated, secret)
        ],
      )
    ]) : "${opening.identity}/${opening.secret}" => opening
    if contains(local.secrets, opening.secret)
  }

  identities = concat(
    local.services,
    var.customer_managed_key_enabled ? ["databases"] : [],
    var.load_test == null ? [] : ["load-test"],
  )
}
