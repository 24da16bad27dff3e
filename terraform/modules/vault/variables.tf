variable "access" {
  type = map(object({
    identity = string
    role     = string
    secret   = string
  }))
  description = "Who opens what: one role of one identity on one secret each, by \"identity/secret\"."
  nullable    = false

  validation {
    condition     = alltrue([for assignment in var.access : contains(["Key Vault Secrets User", "Key Vault Secrets Officer"], assignment.role)])
    error_message = "A role on a secret is Key Vault Secrets User or Key Vault Secrets Officer."
  }
}

variable "certificate_enabled" {
  type        = bool
  description = "Whether the vault holds the certificate of the gateway's own domain."
  nullable    = false
}

variable "customer_managed_key_enabled" {
  type        = bool
  description = "Whether the vault holds a key that encrypts the databases."
  nullable    = false
}

variable "delete_lock_enabled" {
  type        = bool
  description = "Whether the vault is locked against deletion."
  nullable    = false
}

variable "deployer_ip_ranges" {
  type        = list(string)
  description = "IPv4 ranges that reach the vault from outside; empty: none."
  nullable    = false
}

variable "deployer_object_id" {
  type        = string
  description = "Object id of whoever deploys."
  nullable    = false
}

variable "foreign_secrets" {
  type = map(object({
    identity = string
    secret   = string
  }))
  description = "Secrets that are put into the vault by hand, and who reads them: by \"identity/secret\"."
  nullable    = false
}

variable "identities" {
  type        = map(string)
  description = "Object ids of the identities, by what they stand for."
  nullable    = false
}

variable "location" {
  type        = string
  description = "Azure region, as a code: westeurope."
  nullable    = false
}

variable "log_analytics_workspace_id" {
  type        = string
  description = "Workspace of the diagnostics."
  nullable    = false
}

variable "names" {
  type = object({
    vault              = string
    endpoint           = string
    customer_managed   = string
    lock               = string
    diagnostic_setting = string
  })
  description = "Names of what this module makes."
  nullable    = false
}

variable "networks" {
  type = map(object({
    location            = string
    resource_group_name = string
    subnet_ids          = map(string)
    dns_zone_ids        = map(string)
  }))
  description = "The network of each region, where the vault has an endpoint."
  nullable    = false
}

variable "resource_group_name" {
  type        = string
  description = "Resource group of the vault."
  nullable    = false
}

variable "secret_values" {
  type        = map(string)
  description = "First values of the secrets. They are written once, when a secret is made, and are in no state and no plan."
  nullable    = false
  ephemeral   = true
}

variable "secrets" {
  type        = set(string)
  description = "Names of the secrets."
  nullable    = false
}

variable "sku_name" {
  type        = string
  description = "standard, or premium with hardware security modules."
  nullable    = false
}

variable "tags" {
  type        = map(string)
  description = "Tags of every resource."
  nullable    = false
}

variable "tenant_id" {
  type        = string
  description = "Id of the tenant that the vault trusts."
  nullable    = false
}
