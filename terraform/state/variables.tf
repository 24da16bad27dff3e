variable "deployer_ip_ranges" {
  type        = list(string)
  description = "IPv4 addresses and ranges, up to /30, that can always read and write states. Deployments from other addresses open the account for themselves, and close it again."
  nullable    = false
  default     = []

  validation {
    condition     = alltrue([for range in var.deployer_ip_ranges : can(regex("^[0-9.]+(/([0-9]|[12][0-9]|30))?$", range)) && !endswith(range, "/0")])
    error_message = "Each entry must be an address without a prefix length, or a range up to /30, and not the whole internet."
  }
}

variable "deployer_object_ids" {
  type        = set(string)
  description = "Object ids of the users, groups and applications that deploy: also that of the workflow's identity."
  nullable    = false

  validation {
    condition     = length(var.deployer_object_ids) > 0 && alltrue([for id in var.deployer_object_ids : can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", id))])
    error_message = "At least one object id is needed, and each must be a GUID."
  }
}

variable "deployer_subnet_ids" {
  type        = list(string)
  description = "Subnets with a runner that reads and writes states, such as snet-runner with network.runner. Needed for runners in the region of the storage account, to which rules for addresses do not apply."
  nullable    = false
  default     = []

  validation {
    condition     = alltrue([for id in var.deployer_subnet_ids : can(regex("^/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft.Network/virtualNetworks/[^/]+/subnets/[^/]+$", id))])
    error_message = "Each entry must be the id of a subnet."
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
