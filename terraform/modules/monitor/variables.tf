variable "alerts" {
  type = object({
    emails = list(string)
    thresholds = object({
      failures     = number
      not_starting = number
      p95_ms       = number
      refused      = number
      throttled    = number
    })
    availability_test = bool
    budget            = optional(object({ amount = number }))
  })
  description = "E-mail addresses that receive alerts; thresholds: 5xx responses in 5 minutes, 95th percentile of the response time, and refused calls, throttled commands and failed starts in 15 minutes; whether an availability test checks the health of the gateway every five minutes; and the monthly budget of each resource group in the billing currency, or null."
  nullable    = false
}

variable "context" {
  type = object({
    location            = string
    resource_group_name = string
    tags                = map(string)
  })
  description = "Region, resource group and tags of every resource."
  nullable    = false
}

variable "gateway" {
  type = object({
    id    = string
    url   = string
    is_v2 = optional(bool, false)
  })
  description = "API Management, its address, and whether it has a v2 tier."
  nullable    = false
}

variable "jobs" {
  type = object({
    rotation      = string
    rotation_days = number
    sequence      = string
  })
  description = "Names of the jobs that rotate the keys and complete the audit log, and the age at which a key is rotated, in days."
  nullable    = false
}

variable "names" {
  type = object({
    workspace          = string
    insights           = string
    action_group       = string
    workbook           = string
    budget             = string
    alert              = string
    availability       = string
    endpoint           = string
    private_link_scope = string
  })
  description = "Names of the resources in this module."
  nullable    = false
}

variable "private_link_networks" {
  type = map(object({
    location            = string
    resource_group_name = string
    subnet_ids          = map(string)
    dns_zone_ids        = map(string)
  }))
  description = "The network of each region, from which telemetry is accepted; null: from everywhere."
  default     = null
}

variable "publishers" {
  type        = map(string)
  description = "Object ids of the identities that send telemetry, by app."
  nullable    = false
}

variable "resource_group_ids" {
  type        = map(string)
  description = "Ids of the resource groups that the budget covers, by region."
  nullable    = false
}

variable "vault_id" {
  type        = string
  description = "Id of the vault."
  nullable    = false
}

variable "workspace" {
  type = object({
    existing_id    = optional(string)
    retention_days = number
    daily_cap_gb   = number
  })
  description = "Id of an existing workspace that is used instead of a new one, or null; retention time of logs, in days; and the daily cap of the logs, in GB (-1: none)."
  nullable    = false
}
