variable "autoscale_max_throughput" {
  type        = number
  description = "Maximum request units a second of each database, if it is provisioned."
  nullable    = false
}

variable "backup_tier" {
  type        = string
  description = "Retention time of the continuous backup: Continuous7Days or Continuous30Days."
  nullable    = false
}

variable "collections" {
  type = map(map(object({
    indexes     = list(list(string))
    ttl_seconds = optional(number)
  })))
  description = "The collections of each service's database, with their indexes other than the one on _id."
  nullable    = false
}

variable "customer_managed_key_id" {
  type        = string
  description = "Versionless id of the key that encrypts the databases, or null."
}

variable "customer_managed_key_identity_id" {
  type        = string
  description = "Id of the identity that can use this key, or null."
}

variable "delete_lock_enabled" {
  type        = bool
  description = "Whether the accounts have a delete lock."
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

variable "kind" {
  type        = string
  description = "serverless, autoscale or vcore."
  nullable    = false
}

variable "location" {
  type        = string
  description = "Code of the Azure region that accepts writes, such as westeurope."
  nullable    = false
}

variable "log_analytics_workspace_id" {
  type        = string
  description = "Workspace of the diagnostics."
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

variable "resource_group_name" {
  type        = string
  description = "Resource group of the accounts."
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

variable "tags" {
  type        = map(string)
  description = "Tags of every resource."
  nullable    = false
}

variable "vcore" {
  type = object({
    compute_tier       = string
    storage_size_in_gb = number
    shard_count        = number
  })
  description = "Size of a vCore cluster."
  nullable    = false
}

variable "zone_redundant" {
  type        = bool
  description = "Whether the databases are spread over the availability zones of the region."
  nullable    = false
}
