variable "certificate" {
  type = object({
    identity_id = string
    secret_id   = string
  })
  description = "Identity of the Application Gateway, and the versionless id of the secret of its certificate; null for Front Door, which manages its own."
  default     = null

  validation {
    condition     = (var.edge.kind == "application_gateway") == (var.certificate != null)
    error_message = "An Application Gateway needs a certificate, and Front Door has its own."
  }
}

variable "clients" {
  type = object({
    ip_ranges         = list(string)
    availability_test = bool
  })
  description = "IPv4 ranges of the clients, and whether the availability test can call the status of the gateway. Front Door refuses all others; for an Application Gateway, the rules of its subnet do."
  nullable    = false
}

variable "context" {
  type = object({
    location            = string
    resource_group_name = string
    tags                = map(string)
    workspace_id        = string
  })
  description = "Region, resource group and tags of every resource, and the workspace of the diagnostics."
  nullable    = false
}

variable "edge" {
  type = object({
    kind           = string
    host_name      = optional(string)
    private_link   = optional(bool, false)
    capacity       = optional(object({ min = number, max = number }), { min = 2, max = 10 })
    disabled_rules = optional(map(list(string)), {})
  })
  description = "Kind (front_door or application_gateway), host name for clients, whether Front Door reaches the gateway by Private Link, units of an Application Gateway, and rules of the managed rule set that are off, by rule group."
  nullable    = false

  validation {
    condition     = contains(["front_door", "application_gateway"], var.edge.kind)
    error_message = "The edge must be front_door or application_gateway."
  }
}

variable "gateway" {
  type = object({
    id                   = string
    host_name            = string
    private_ip_addresses = list(string)
  })
  description = "API Management: its id, its own host name, and its addresses in the virtual network."
  nullable    = false
}

variable "names" {
  type = object({
    front_door          = string
    endpoint            = string
    firewall            = string
    application_gateway = string
    public_ip           = string
    diagnostic_setting  = string
  })
  description = "Names of the resources in this module."
  nullable    = false
}

variable "subnet_id" {
  type        = string
  description = "Subnet of an Application Gateway; null for Front Door."
  default     = null
}

variable "zones" {
  type        = list(string)
  description = "Availability zones of an Application Gateway; empty: none."
  nullable    = false
}
