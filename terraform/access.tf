# Access rights on secrets, defined by services/access.json for Key Vault and for the vault emulator.

locals {
  table = jsondecode(file("${path.root}/../services/access.json"))

  # The secrets that exist on Azure: API Management stores subscription keys itself, and Cosmos DB accounts have no users
  secrets = concat(
    ["audit-db-connection", "audit-host-key", "audit-log-key", "audit-query-key", "patient-data-key", "patient-db-connection", "patient-host-key"],
    local.has_auditor_page ? ["auditor-session-key"] : [],
  )
  services = concat(["audit", "gateway", "patient", "rotation"], local.has_auditor_page ? ["auditor"] : [])

  has_auditor_page = var.auditor_page != null

  # The connection string of a vCore cluster has no password, so there is nothing to rotate
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
    local.edge_kind == "application_gateway" ? ["edge"] : [],
    var.load_test == null ? [] : ["load-test"],
    var.runner == null ? [] : ["runner"],
  )
}
