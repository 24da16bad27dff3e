variable "access" {
  type = map(object({
    identity = string
    role     = string
    secret   = string
  }))
  description = "Access rights: one role of one identity on one secret each, by \"identity/secret\"."
  nullable    = false

  validation {
    condition     = alltrue([for assignment in var.access : contains(["Key Vault Secrets User", "Key Vault Secrets Officer"], assignment.role)])
    error_message = "A role on a secret must be Key Vault Secrets User or Key Vault Secrets Officer."
  }
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

variable "deployer" {
  type = object({
    ip_ranges = list(string)
    object_id = string
  })
  description = "User, group or application that deploys, and the IPv4 ranges that can reach the vault from outside; empty: none."
  nullable    = false
}

variable "foreign_secrets" {
  type = map(object({
    identity = string
    secret   = string
  }))
  description = "Secrets that are stored in the vault by hand, and the identities that read them, by \"identity/secret\"."
  nullable    = false
}

variable "identities" {
  type        = map(string)
  description = "Object ids of the identities, by app."
  nullable    = false
}

variable "locked_after" {
  type        = list(string)
  description = "Ids of resources in the vault that other modules make: a lock would keep them from being deleted."
  default     = []
}

variable "names" {
  type = object({
    vault              = string
    endpoint           = string
    customer_managed   = string
    lock               = string
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
  description = "The network of each region in which the vault has a private endpoint."
  nullable    = false
}

variable "secret_values" {
  type        = map(string)
  description = "First values of the secrets. They are written once, when a secret is created, and are stored in no state and no plan."
  nullable    = false
  ephemeral   = true
}

variable "secrets" {
  type        = set(string)
  description = "Names of the secrets."
  nullable    = false
}

variable "vault" {
  type = object({
    existing_id          = optional(string)
    tenant_id            = string
    sku_name             = string
    delete_lock          = bool
    certificate          = bool
    customer_managed_key = bool
  })
  description = "Id of an existing vault that is used instead of a new one, or null; tenant that the vault trusts; standard, or premium with hardware security modules; whether it has a delete lock; and whether it contains the certificate of the custom domain, and a key that encrypts the databases."
  nullable    = false
}
