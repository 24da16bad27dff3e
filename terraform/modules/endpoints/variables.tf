variable "endpoints" {
  type = map(object({
    name        = string
    region      = string
    service     = string
    subresource = string
    resource_id = string
    zones       = list(string)
  }))
  description = "The endpoints: name, region, name of the connection, what they connect to, and the private DNS zones with their records, as named in networks."
  nullable    = false
}

variable "networks" {
  type = map(object({
    location            = string
    resource_group_name = string
    subnet_ids          = map(string)
    dns_zone_ids        = map(string)
  }))
  description = "The network of each region. A zone that is missing is managed elsewhere."
  nullable    = false
}

variable "tags" {
  type        = map(string)
  description = "Tags of every resource."
  nullable    = false
}
