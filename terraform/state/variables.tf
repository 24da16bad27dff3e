variable "deployer_ip_ranges" {
  type        = list(string)
  description = "IPv4 addresses and ranges, up to /30, that can read and write states."
  nullable    = false

  validation {
    condition     = length(var.deployer_ip_ranges) > 0 && alltrue([for range in var.deployer_ip_ranges : can(regex("^[0-9.]+(/([0-9]|[12][0-9]|30))?$", range)) && !endswith(range, "/0")])
    error_message = "At least one address is needed; single addresses must have no prefix length."
  }
}

variable "deployer_object_id" {
  type        = string
  description = "Object id of the user, group or application that deploys."
  nullable    = false

  validation {
    condition     = can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.deployer_object_id))
    error_message = "An object id must be a GUID."
  }
}

variable "location" {
  type        = string
  description = "Azure region code, such as westeurope."
  nullable    = false
  default     = "westeurope"

  validation {
    condition     = can(regex("^[a-z0-9]+$", var.location))
    error_message = "The region must be a region code, such as westeurope."
  }
}

variable "name" {
  type        = string
  description = "Name of the system."
  nullable    = false
  default     = "patients"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,8}$", var.name))
    error_message = "The name of the system must have 2 to 9 lower-case letters and digits, starting with a letter."
  }
}

variable "storage_account_name" {
  type        = string
  description = "Globally unique name of the storage account."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9]{3,24}$", var.storage_account_name))
    error_message = "The name of a storage account must have 3 to 24 lower-case letters and digits."
  }
}
