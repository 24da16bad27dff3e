variable "apps" {
  type = map(object({
    image            = string
    identity_id      = string
    external_enabled = bool
    allowed_ranges   = list(string)
    container = object({
      cpu    = number
      memory = string
    })
    # Null: that of the other apps
    scale = optional(object({
      min_replicas        = number
      max_replicas        = number
      concurrent_requests = number
    }))
    settings = map(string)
  }))
  description = "The services: patient and audit, and the auditor's page."
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

variable "jobs" {
  type = map(object({
    image       = string
    identity_id = string
    # Null: the job is started by hand
    schedule           = optional(string)
    timeout_in_seconds = number
    retries            = number
    args               = list(string)
    container = object({
      cpu    = number
      memory = string
    })
    settings = map(string)
    # Name of a setting, and the versionless id of the secret that holds its value
    secrets = optional(map(string), {})
  }))
  description = "Jobs, which run on a schedule or are started by hand."
  nullable    = false
}

variable "names" {
  type = object({
    environment                   = string
    infrastructure_resource_group = string
  })
  description = "Names of the resources in this module."
  nullable    = false
}

variable "registry_server" {
  type        = string
  description = "Host name of the registry."
  nullable    = false
}

variable "resolver_network_ids" {
  type        = list(string)
  description = "Ids of other virtual networks that resolve the names of the environment, as a hub with DNS servers."
  nullable    = false
  default     = []
}

variable "scale" {
  type = object({
    min_replicas        = number
    max_replicas        = number
    concurrent_requests = number
  })
  description = "Minimum and maximum replicas of each app that has no others, and concurrent requests for each replica before another one is started."
  nullable    = false
}

variable "subnet_id" {
  type        = string
  description = "Subnet of the environment."
  nullable    = false
}

variable "upgrade" {
  type = object({
    # Suffix of the revision that stays, by app
    live       = map(string)
    percentage = number
  })
  description = "Revisions that stay during an upgrade, and the percentage of the traffic that their successors get."
  default     = null
}

variable "virtual_network_id" {
  type        = string
  description = "Virtual network that resolves the names of the environment."
  nullable    = false
}

variable "zone_redundant" {
  type        = bool
  description = "Whether the environment is spread over the availability zones of the region."
  nullable    = false
}
