variable "additional_locations" {
  type = list(object({
    location          = string
    name              = string
    subnet_id         = string
    zones             = list(string)
    resource_group    = string
    public_ip_name    = string
    domain_name_label = string
  }))
  description = "Additional regions with a gateway: the name that API Management uses for the region, and its network."
  nullable    = false
}

variable "client_ip_ranges" {
  type        = list(string)
  description = "IPv4 ranges of the clients that can reach a Standard v2 gateway from the internet; empty: none."
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

variable "cors_origins" {
  type        = list(string)
  description = "Origins of web pages that may call the APIs; empty: no cross-origin calls."
  nullable    = false
}

variable "custom_domain" {
  type = object({
    host_name = string
    secret_id = string
    scope     = string
    bound     = bool
  })
  description = "Custom host name of the gateway, the versionless id of its certificate's secret in the vault, the resource id of this secret, and whether the gateway already uses them; null: Azure's host name only."
}

variable "documents" {
  type = object({
    audit   = any
    patient = any
  })
  description = "OpenAPI documents, decoded."
  nullable    = false
}

variable "edge" {
  type = object({
    kind          = string
    front_door_id = optional(string)
    subnet_prefix = optional(string)
  })
  description = "What is in front of the gateway (front_door or application_gateway), and how it is recognised: the id of Front Door, or the subnet of the Application Gateway; null: clients call the gateway itself."
  default     = null
}

variable "entra" {
  type = object({
    tenant_id              = string
    audience               = string
    client_application_ids = list(string)
    replaces_keys          = bool
  })
  description = "Entra ID tokens that clients must send in addition to their key or instead of it; null: keys only."
}

variable "identity" {
  type = object({
    id        = string
    client_id = string
  })
  description = "The gateway's identity."
  nullable    = false
}

variable "insights" {
  type = object({
    id                = string
    connection_string = string
  })
  description = "Application Insights."
  nullable    = false
}

variable "named_values" {
  type        = map(string)
  description = "Named values of the policies, which differ between environments. None is secret."
  nullable    = false
}

variable "names" {
  type = object({
    gateway            = string
    endpoint           = string
    public_ip          = string
    domain_name_label  = string
    logger             = string
    diagnostic_setting = string
  })
  description = "Names of the resources in this module."
  nullable    = false
}

variable "network" {
  type = object({
    subnet_id           = string
    endpoints_subnet_id = string
    virtual_network_id  = string
  })
  description = "Subnet of the gateway; and the subnet of the private endpoint of a Standard v2 gateway, and the virtual network in which this endpoint has its name."
  nullable    = false
}

variable "policies" {
  type = object({
    global  = string
    product = string
    patient = string
    echo    = string
    auditor = string
  })
  description = "Policy documents."
  nullable    = false
}

variable "product_conditions" {
  type        = map(string)
  description = "By product, the C# condition of the calls that it refuses; other products have that of client."
  nullable    = false
}

variable "products" {
  type = map(object({
    display_name           = string
    calls_per_minute       = number
    calls_per_day          = number
    apis                   = list(string)
    require_on_behalf_of   = optional(bool, false)
    require_purpose_of_use = optional(bool, false)
  }))
  description = "Products: the APIs that each includes, the limits for each subscription, and whether requests must say on whose behalf and for which purpose they are."
  nullable    = false
}

variable "public_access_enabled" {
  type        = bool
  description = "Whether the gateway has public access; other than in Standard v2 it must have."
  nullable    = false
}

variable "publisher" {
  type = object({
    name  = string
    email = string
  })
  description = "Publisher of the APIs."
  nullable    = false
}

variable "sampling_percentage" {
  type        = number
  description = "Sampling ratio of traces; errors are always traced."
  nullable    = false
}

variable "sku_name" {
  type        = string
  description = "Tier and units: Developer_1, Premium_2, StandardV2_1, PremiumV2_1."
  nullable    = false
}

variable "urls" {
  type = object({
    audit   = map(string)
    auditor = map(string)
    patient = map(string)
  })
  description = "Address of the audit service without a path, and of the patient service and the auditor's page with their paths (no page: empty): primary, and by location in additional regions. Not part of additional_locations, because API Management must not wait for them."
  nullable    = false
}

variable "zones" {
  type        = list(string)
  description = "Availability zones of the public addresses; empty: none. API Management spreads its units itself."
  nullable    = false
}
