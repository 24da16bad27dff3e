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

variable "deployer_ip_ranges" {
  type        = list(string)
  description = "IPv4 ranges that can reach the registry from outside; empty: none."
  nullable    = false
}

variable "existing_id" {
  type        = string
  description = "Id of an existing registry that is used instead of a new one; null: a new one."
  default     = null
}

variable "names" {
  type = object({
    registry           = string
    endpoint           = string
    diagnostic_setting = string
  })
  description = "Names of the resources in this module."
  nullable    = false
}

variable "networks" {
  type = map(object({
    location            = string
    resource_group_name = string
    subnet_ids          = map(string)
    dns_zone_ids        = map(string)
  }))
  description = "The network of each region in which the registry has a private endpoint."
  nullable    = false
}

variable "pullers" {
  type        = map(string)
  description = "Object ids of the identities that pull images, by app."
  nullable    = false
}

variable "replica_locations" {
  type        = set(string)
  description = "Additional regions with a copy of the images."
  nullable    = false
}

variable "zone_redundant" {
  type        = bool
  description = "Whether the registry is spread over the availability zones of the region."
  nullable    = false
}
