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
  description = "Further regions with a gateway: the name that it has for its region, and where it stands."
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
  })
  description = "The gateway's own host name, and the versionless id of its certificate's secret in the vault; null: Azure's name alone."
}

variable "documents" {
  type = object({
    patient = any
  })
  description = "OpenAPI documents, decoded."
  nullable    = false
}

variable "entra" {
  type = object({
    tenant_id              = string
    audience               = string
    client_application_ids = list(string)
    replaces_keys          = bool
  })
  description = "Tokens of Entra ID that clients must show, beside their key or instead of it; null: keys alone."
}

variable "identity_client_id" {
  type        = string
  description = "Client id of the gateway's identity."
  nullable    = false
}

variable "identity_id" {
  type        = string
  description = "Id of the gateway's identity."
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

variable "location" {
  type        = string
  description = "Azure region, as a code: westeurope."
  nullable    = false
}

variable "log_analytics_workspace_id" {
  type        = string
  description = "Workspace of the diagnostics."
  nullable    = false
}

variable "named_values" {
  type        = map(string)
  description = "What differs by environment in the policies. None is secret."
  nullable    = false
}

variable "names" {
  type = object({
    gateway            = string
    public_ip          = string
    domain_name_label  = string
    logger             = string
    diagnostic_setting = string
  })
  description = "Names of what this module makes."
  nullable    = false
}

variable "patient_urls" {
  type        = map(string)
  description = "Address of the patient service, with the path of its API: primary, and by location in further regions. Not among additional_locations, since API Management itself must not wait for it."
  nullable    = false
}

variable "policies" {
  type = object({
    global  = string
    product = string
    patient = string
    echo    = string
  })
  description = "Policy documents."
  nullable    = false
}

variable "products" {
  type = map(object({
    display_name     = string
    calls_per_minute = number
    calls_per_day    = number
    apis             = list(string)
  }))
  description = "Products: the APIs each opens, and how often a subscription may call."
  nullable    = false
}

variable "publisher" {
  type = object({
    name  = string
    email = string
  })
  description = "Who offers the APIs."
  nullable    = false
}

variable "resource_group_name" {
  type        = string
  description = "Resource group of the gateway."
  nullable    = false
}

variable "sampling_percentage" {
  type        = number
  description = "Share of requests that are traced; errors are always."
  nullable    = false
}

variable "sku_name" {
  type        = string
  description = "Tier and units: Developer_1, Premium_2."
  nullable    = false
}

variable "subnet_id" {
  type        = string
  description = "Subnet of the gateway."
  nullable    = false
}

variable "tags" {
  type        = map(string)
  description = "Tags of every resource."
  nullable    = false
}

variable "zones" {
  type        = list(string)
  description = "Zones over which the units spread; empty: none."
  nullable    = false
}
