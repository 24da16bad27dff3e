variable "alert_emails" {
  type        = list(string)
  description = "Who is told of alerts; empty: they show in the portal alone."
  nullable    = false
}

variable "availability_test_enabled" {
  type        = bool
  description = "Whether the gateway's health is asked for from outside, every five minutes."
  nullable    = false
}

variable "budget" {
  type = object({
    amount     = number
    start_date = string
  })
  description = "Monthly budget of each resource group in the billing currency, and the first day of the month it starts with; null: none."
}

variable "gateway" {
  type = object({
    id  = string
    url = string
  })
  description = "API Management, and its address."
  nullable    = false
}

variable "key_rotation_days" {
  type        = number
  description = "The age at which a key is rotated."
  nullable    = false
}

variable "location" {
  type        = string
  description = "Azure region, as a code: westeurope."
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
  description = "Names of what this module makes."
  nullable    = false
}

variable "publishers" {
  type        = map(string)
  description = "Object ids of the identities that send telemetry, by what they stand for."
  nullable    = false
}

variable "resource_group_ids" {
  type        = map(string)
  description = "Ids of the resource groups that the budget watches, by region."
  nullable    = false
}

variable "resource_group_name" {
  type        = string
  description = "Resource group of the workspace."
  nullable    = false
}

variable "retention_in_days" {
  type        = number
  description = "How long logs are kept."
  nullable    = false
}

variable "rotation_job" {
  type        = string
  description = "Name of the job that rotates the keys."
  nullable    = false
}

variable "tags" {
  type        = map(string)
  description = "Tags of every resource."
  nullable    = false
}

variable "thresholds" {
  type = object({
    failures  = number
    p95_ms    = number
    refused   = number
    throttled = number
  })
  description = "From where on an alert is raised: answers with 5xx in 5 minutes, the 95th percentile of the time to answer, refused calls and throttled commands in 15 minutes."
  nullable    = false
}
