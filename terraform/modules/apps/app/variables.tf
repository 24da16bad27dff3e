variable "allowed_ranges" {
  type        = list(string)
  description = "IPv4 ranges that the ingress lets in."
  nullable    = false

  validation {
    condition     = length(var.allowed_ranges) > 0
    error_message = "An ingress without a list would let everybody in."
  }
}

variable "container" {
  type = object({
    cpu    = number
    memory = string
  })
  description = "What a replica has."
  nullable    = false
}

variable "environment_id" {
  type        = string
  description = "Id of the environment."
  nullable    = false
}

variable "external_enabled" {
  type        = bool
  description = "Whether callers outside the environment reach it; in an internal environment these are in the virtual network."
  nullable    = false
}

variable "identity_id" {
  type        = string
  description = "Id of the app's identity."
  nullable    = false
}

variable "image" {
  type        = string
  description = "Image by its digest."
  nullable    = false
}

variable "name" {
  type        = string
  description = "Name of the app, and of its host below the environment's domain."
  nullable    = false
}

variable "registry_server" {
  type        = string
  description = "Host name of the registry."
  nullable    = false
}

variable "resource_group_name" {
  type        = string
  description = "Resource group of the environment."
  nullable    = false
}

variable "scale" {
  type = object({
    min_replicas        = number
    max_replicas        = number
    concurrent_requests = number
  })
  description = "Replicas, and how many requests at a time one of them gets before there is another."
  nullable    = false
}

variable "settings" {
  type        = map(string)
  description = "Environment variables. None is a secret: those stand in the vault."
  nullable    = false

  validation {
    condition     = alltrue([for name, value in var.settings : !can(regex("(?i)(://[^/]*@|accountkey=|password|sig=)", value))])
    error_message = "A setting holds a credential; secrets stand in the vault."
  }
}

variable "tags" {
  type        = map(string)
  description = "Tags of every resource."
  nullable    = false
}
