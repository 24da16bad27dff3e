variable "context" {
  type = object({
    location            = string
    resource_group_name = string
    tags                = map(string)
  })
  description = "Region, resource group and tags of every resource."
  nullable    = false
}

variable "names" {
  type        = map(string)
  description = "Names of the identities, by app."
  nullable    = false
}
