variable "autoscale_max_throughput" {
  type        = number
  description = "Highest request units a second of each database, where they are provisioned."
  nullable    = false
}

variable "backup_tier" {
  type        = string
  description = "How long every moment can be restored: Continuous7Days or Continuous30Days."
  nullable    = false
}

variable "collections" {
  type = map(map(object({
    indexes     = list(list(string))
    ttl_seconds = optional(number)
  })))
  description = "The collections of each service's database, with their indexes beside the one on _id."
  nullable    = false
}

variable "customer_managed_key_id" {
  type        = string
  description = "Versionless id of the key that encrypts the databases, or null."
}

variable "customer_managed_key_identity_id" {
  type        = string
  description = "Id of the identity that may use that key, or null."
}

variable "delete_lock_enabled" {
  type        = bool
  description = "Whether the accounts are locked against deletion."
  nullable    = false
}

variable "failover_locations" {
  type        = list(string)
  description = "Further regions with a replica, in the order in which they take over."
  nullable    = false
}

variable "kind" {
  type        = string
  description = "serverless, autoscale or vcore."
  nullable    = false
}

variable "location" {
  type        = string
  description = "Azure region that writes, as a code: westeurope."
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
  description = "Names of what this module makes; the accounts and their endpoints by service."
  nullable    = false
}

variable "networks" {
  type = map(object({
    location            = string
    resource_group_name = string
    subnet_ids          = map(string)
    dns_zone_ids        = map(string)
  }))
  description = "The network of each region, where the accounts have an endpoint."
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
  description = "Who regenerates the keys of the accounts, and the custom role that allows just this."
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

variable "vcore_passwords" {
  type        = map(string)
  description = "Administrator's password of each vCore cluster, by service."
  nullable    = false
  sensitive   = true
}

variable "zone_redundant" {
  type        = bool
  description = "Whether the databases spread over the region's zones."
  nullable    = false
}
