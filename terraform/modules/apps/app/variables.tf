variable "allowed_ranges" {
  type        = list(string)
  description = "IPv4 ranges that the ingress accepts."
  nullable    = false

  validation {
    condition     = length(var.allowed_ranges) > 0
    error_message = "An ingress without address ranges would accept every caller."
  }
}

variable "container" {
  type = object({
    cpu    = number
    memory = string
  })
  description = "CPU and memory of a replica."
  nullable    = false
}

variable "context" {
  type = object({
    environment_id      = string
    registry_server     = string
    resource_group_name = string
    tags                = map(string)
  })
  description = "Container Apps environment, host name of the registry, resource group and tags."
  nullable    = false
}

variable "external_enabled" {
  type        = bool
  description = "Whether callers outside the environment can reach the app; in an internal environment, callers in the virtual network."
  nullable    = false
}

variable "identity_id" {
  type        = string
  description = "Id of the app's identity."
  nullable    = false
}

variable "image" {
  type        = string
  description = "Image with its digest."
  nullable    = false
}

variable "live_revision" {
  type        = string
  description = "Suffix of the revision that stays beside the newest one during an upgrade; null outside of upgrades."
  default     = null
}

variable "name" {
  type        = string
  description = "Name of the app, and of its host in the domain of the environment."
  nullable    = false
}

variable "newest_percentage" {
  type        = number
  description = "Percentage of the traffic that the newest revision gets: 100 outside of upgrades."
  nullable    = false
  default     = 100

  validation {
    condition     = var.live_revision != null || var.newest_percentage == 100
    error_message = "Outside of upgrades, the newest revision gets all traffic."
  }
}

variable "scale" {
  type = object({
    min_replicas        = number
    max_replicas        = number
    concurrent_requests = number
  })
  description = "Minimum and maximum replicas, and concurrent requests for each replica before another one is started."
  nullable    = false
}

variable "settings" {
  type        = map(string)
  description = "Environment variables. None is a secret: secrets are stored in the vault."
  nullable    = false

  validation {
    condition     = alltrue([for name, value in var.settings : !can(regex("(?i)(://[^/]*@|accountkey=|password|sig=)", value))])
    error_message = "A setting contains a credential; secrets belong in the vault."
  }
}
