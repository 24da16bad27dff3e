variable "location" {
  type        = string
  description = "Azure region, as a code: westeurope."
  nullable    = false
}

variable "names" {
  type        = map(string)
  description = "Names of the identities, by what they stand for."
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
