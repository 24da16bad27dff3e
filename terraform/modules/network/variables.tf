variable "address_space" {
  type        = string
  description = "IPv4 range of the virtual network, in CIDR notation; the subnet of the environment and up to four /27 are used."
  nullable    = false

  validation {
    condition     = can(cidrsubnet(var.address_space, 27 - tonumber(split("/", var.address_space)[1]), 3))
    error_message = "The address space must be an IPv4 range of /25 or larger."
  }
}

variable "callers" {
  type = object({
    ip_ranges         = list(string)
    availability_test = bool
    load_test         = bool
    auditor_page      = bool
    traffic_manager   = bool
  })
  description = "Who can call: IPv4 ranges of the clients, the availability test of Application Insights, the load test and the auditor's page from the address of the NAT gateway, and Traffic Manager."
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

variable "database_port" {
  type        = number
  description = "Port of the databases."
  nullable    = false
}

variable "ddos_protection_plan_id" {
  type        = string
  description = "Id of a DDoS protection plan for the virtual network, or null."
}

variable "dns_zones" {
  type        = map(string)
  description = "Names of the private DNS zones that the endpoints need, by what they are for."
  nullable    = false
}

variable "edge" {
  type        = string
  description = "What clients call instead of the gateway: front_door, application_gateway, or null."
  default     = null

  validation {
    condition     = var.edge == null || try(contains(["front_door", "application_gateway"], var.edge), false)
    error_message = "The edge must be front_door or application_gateway."
  }
}

variable "egress" {
  type = object({
    nat_gateway = bool
    witnesses   = bool
  })
  description = "Whether outbound traffic of the environment has a fixed address (NAT gateway), and whether the audit service calls witnesses on the Internet."
  nullable    = false
}

variable "existing" {
  type = object({
    virtual_network_id   = optional(string)
    subnet_ids           = optional(map(string), {})
    private_dns_zone_ids = optional(map(string))
  })
  description = "A virtual network, its subnets, and private DNS zones that are used instead of new ones, as in the variable existing of the environment."
  nullable    = false
  default     = {}
}

variable "names" {
  type = object({
    virtual_network = string
    nat_gateway     = string
    nat_address     = string
    subnets         = map(string)
    security_groups = map(string)
  })
  description = "Names of the resources in this module."
  nullable    = false
}

variable "subnets" {
  type = object({
    environment_prefix_length = number
    gateway_tier              = optional(string, "Developer")
    runner                    = bool
    vault_endpoint            = bool
  })
  description = "Prefix length of the subnet of the Container Apps environment, which cannot be changed later; tier of API Management, whose subnet is for the classic tiers, StandardV2 or PremiumV2; whether there is a subnet for a build runner; and whether the gateway has a service endpoint of Key Vault."
  nullable    = false
}
