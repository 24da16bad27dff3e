variable "collections" {
  type = map(map(object({
    indexes     = list(list(string))
    ttl_seconds = optional(number)
  })))
  description = "The collections of each service's database, with their indexes other than the one on _id."
  nullable    = false
}

variable "context" {
  type = object({
    location            = string
    resource_group_name = string
    tags                = map(string)
    workspace_id        = string
  })
  description = "Region, resource group and tags of every resource, and the workspace of the diagnostics."
  nullable    = false
}

variable "customer_managed_key" {
  type = object({
    id          = string
    identity_id = string
  })
  description = "Versionless id of the key that encrypts the databases, and id of the identity that can use it; both null: keys of Azure. Its attributes are null rather than it, because whether there is a key is known before its id."
  nullable    = false
  default     = { id = null, identity_id = null }
}

variable "database" {
  type = object({
    kind           = string
    max_throughput = number
    backup_tier    = string
    vcore = object({
      compute_tier       = string
      storage_size_in_gb = number
      shard_count        = number
    })
    zone_redundant = bool
    delete_lock    = bool
  })
  description = "Kind (serverless, autoscale or vcore), maximum request units a second of each database if it is provisioned, retention time of the continuous backup (Continuous7Days or Continuous30Days), size of a vCore cluster, whether the databases are spread over the availability zones, and whether they have a delete lock."
  nullable    = false
}

variable "failover_locations" {
  type        = list(string)
  description = "Additional regions with a replica, in failover order."
  nullable    = false
}

variable "identities" {
  type = map(object({
    client_id    = string
    principal_id = string
  }))
  description = "The identity of each service, which a vCore cluster lets in."
  nullable    = false
}

variable "names" {
  type = object({
    accounts           = map(string)
    endpoints          = map(string)
    lock               = string
    diagnostic_setting = string
  })
  description = "Names of the resources in this module; accounts and their endpoints by service."
  nullable    = false
}

variable "networks" {
  type = map(object({
    location            = string
    resource_group_name = string
    subnet_ids          = map(string)
    dns_zone_ids        = map(string)
  }))
  description = "The network of each region in which the accounts have a private endpoint."
  nullable    = false
}

variable "rotation" {
  type = object({
    principal_id = string
    role         = string
  })
  description = "The identity that regenerates the keys of the accounts, and the custom role that allows only this."
  nullable    = false
}
