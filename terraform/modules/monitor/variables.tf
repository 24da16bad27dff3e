variable "alert_emails" {
  type        = list(string)
  description = "E-mail addresses that receive alerts; empty: alerts are visible in the portal only."
  nullable    = false
}

variable "availability_test_enabled" {
  type        = bool
  description = "Whether an availability test checks the health of the gateway every five minutes."
  nullable    = false
}

variable "budget" {
  type = object({
    amount = number
  })
  description = "Monthly budget of each resource group in the billing currency; null: no budget."
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

variable "key_rotation_days" {
  type        = number
  description = "Age at which a key is rotated, in days."
  nullable    = false
}

variable "location" {
  type        = string
  description = "Azure region code, such as westeurope."
  nullable    = false
}

variable "names" {
  type = object({
    workspace    = string
    insights     = string
    action_group = string
    workbook     = string
    budget       = string
    alert        = string
    availability = string
  })
  description = "Names of the resources in this module."
  nullable    = false
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

variable "resource_group_name" {
  type        = string
  description = "Resource group of the workspace."
  nullable    = false
}

variable "retention_in_days" {
  type        = number
  description = "Retention time of logs, in days."
  nullable    = false
}

variable "vault_id" {
  type        = string
  description = "Id of the vault."
  nullable    = false
}

variable "daily_cap_gb" {
  type        = number
  description = "Daily cap of the logs, in GB; -1: none."
  nullable    = false
}

variable "rotation_job" {
  type        = string
  description = "Name of the job that rotates the keys."
  nullable    = false
}

variable "sequence_job" {
  type        = string
  description = "Name of the job that completes the audit log."
  nullable    = false
}

variable "tags" {
  type        = map(string)
  description = "Tags of every resource."
  nullable    = false
}

variable "thresholds" {
  type = object({
    failures     = number
    not_starting = number
    p95_ms       = number
    refused      = number
    throttled    = number
  })
  description = "Alert thresholds: 5xx responses in 5 minutes, 95th percentile of the response time, and refused calls, throttled commands and failed starts in 15 minutes."
  nullable    = false
}
