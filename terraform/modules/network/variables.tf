variable "address_space" {
  type        = string
  description = "IPv4 range of the virtual network, in CIDR notation; its first four /27 are used."

  validation {
    condition     = can(cidrsubnet(var.address_space, 27 - tonumber(split("/", var.address_space)[1]), 3))
    error_message = "The address space must be an IPv4 range of /25 or larger."
  }
}

variable "auditor_page_enabled" {
  type        = bool
  description = "Whether the auditor's page in the environment calls the gateway."
  nullable    = false
}

variable "availability_test_enabled" {
  type        = bool
  description = "Whether the availability test of Application Insights can reach the gateway."
  nullable    = false
}

variable "client_ip_ranges" {
  type        = list(string)
  description = "IPv4 ranges of the clients that can reach the gateway; empty: none."
  nullable    = false
}

variable "database_port" {
  type        = number
  description = "Port of the databases."
  nullable    = false
}

variable "database_zone" {
  type        = string
  description = "Name of the private DNS zone of the databases."
  nullable    = false
}

variable "ddos_protection_plan_id" {
  type        = string
  description = "Id of a DDoS protection plan for the virtual network, or null."
}

variable "load_test_enabled" {
  type        = bool
  description = "Whether the environment can call the gateway, from the address of the NAT gateway."
  nullable    = false
}

variable "location" {
  type        = string
  description = "Azure region code, such as westeurope."
  nullable    = false
}

variable "multiple_regions" {
  type        = bool
  description = "Whether Traffic Manager can reach the gateway."
  nullable    = false
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

variable "nat_gateway_enabled" {
  type        = bool
  description = "Whether outbound traffic of the environment has a fixed address (NAT gateway)."
  nullable    = false
}

variable "resource_group_name" {
  type        = string
  description = "Resource group of the region."
  nullable    = false
}

variable "runner_enabled" {
  type        = bool
  description = "Whether to create a subnet for a build runner that deploys from inside the network."
  nullable    = false
}

variable "tags" {
  type        = map(string)
  description = "Tags of every resource."
  nullable    = false
}

variable "vault_endpoint_enabled" {
  type        = bool
  description = "Whether the subnet of the gateway has a service endpoint of Key Vault."
  nullable    = false
}

variable "environment_prefix_length" {
  type        = number
  description = "Prefix length of the subnet of the Container Apps environment, which cannot be changed later."
  nullable    = false
}

variable "witnesses_enabled" {
  type        = bool
  description = "Whether the audit service calls witnesses on the Internet."
  nullable    = false
}
