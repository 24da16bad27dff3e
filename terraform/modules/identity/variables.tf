variable "location" {
  type        = string
  description = "Azure region code, such as westeurope."
  nullable    = false
}

variable "names" {
  type        = map(string)
  description = "Names of the identities, by app."
  nullable    = false
}

variable "resource_group_name" {
  type        = string
  description = "Resource group of the identities."
  nullable    = false
}

variable "tags" {
  type        = map(string)
  description = "Tags of every resource."
  nullable    = false
}
