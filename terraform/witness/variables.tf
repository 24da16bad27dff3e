variable "address_space" {
  type        = string
  description = "IPv4 range of the virtual network, in CIDR notation; /26 or larger."
  nullable    = false
  default     = "10.66.0.0/26"

  validation {
    condition     = can(cidrsubnet(var.address_space, 1, 1)) && tonumber(split("/", var.address_space)[1]) <= 26
    error_message = "The address space must be an IPv4 range of /26 or larger."
  }
}

variable "alert_emails" {
  type        = list(string)
  description = "E-mail addresses that receive alerts."
  nullable    = false
  default     = []

  validation {
    condition     = alltrue([for address in var.alert_emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", address))])
    error_message = "Each entry must be an e-mail address."
  }
}

variable "allowed_ranges" {
  type        = list(string)
  description = "Ranges that can call the witness, such as the egress address of the register with /32; empty: everybody. Checkpoints are authenticated by their signatures."
  nullable    = false
  default     = []

  validation {
    condition     = alltrue([for range in var.allowed_ranges : can(cidrhost(range, 0))])
    error_message = "Each entry must be a range in CIDR notation."
  }
}

variable "deployer_ip_ranges" {
  type        = list(string)
  description = "IPv4 addresses and ranges, up to /30, from which the vault and the storage account can be reached; empty after the deployment."
  nullable    = false
  default     = []

  validation {
    condition     = alltrue([for range in var.deployer_ip_ranges : can(regex("^[0-9.]+(/([0-9]|[12][0-9]|30))?$", range)) && !endswith(range, "/0")])
    error_message = "Single addresses must have no prefix length."
  }
}

variable "deployer_object_id" {
  type        = string
  description = "Object id of the user, group or application that deploys; null: the current one."
  default     = null

  validation {
    condition     = var.deployer_object_id == null || can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.deployer_object_id))
    error_message = "An object id must be a GUID."
  }
}

variable "first_size" {
  type        = number
  description = "The largest tree with which a log may begin of which the witness has nothing stored. For a register that is in use already: the size of its log, after its operator has verified it."
  default     = 10000
  nullable    = false

  validation {
    condition     = var.first_size >= 0 && floor(var.first_size) == var.first_size
    error_message = "first_size must be a whole number from 0."
  }
}

variable "image" {
  type        = string
  description = "Image of the witness with its digest, such as <registry>/witness@sha256:<digest>."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9./-]*@sha256:[0-9a-f]{64}$", var.image))
    error_message = "The image must be referenced by digest, not by tag."
  }
}

variable "location" {
  type        = string
  description = "Azure region code, such as northeurope; preferably not that of the register."
  nullable    = false
  default     = "northeurope"

  validation {
    condition     = can(regex("^[a-z0-9]+$", var.location))
    error_message = "The region must be a region code, such as northeurope."
  }
}

variable "logs" {
  type        = list(string)
  description = "Public keys of the logs, <name>+<key id>+<base64>. The keys of one log are in their order."
  nullable    = false

  validation {
    condition     = length(var.logs) > 0 && alltrue([for key in var.logs : can(regex("^[^\\s+]+\\+[0-9a-f]{8}\\+[A-Za-z0-9+/]{43,44}=*$", key))])
    error_message = "Each entry must be a public key <name>+<key id>+<base64>."
  }
}

variable "name" {
  type        = string
  description = "Name of the witness."
  nullable    = false
  default     = "witness"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,12}[a-z0-9]$", var.name))
    error_message = "The name must have 3 to 14 lower-case letters, digits and hyphens."
  }
}

variable "reader_object_ids" {
  type        = list(string)
  description = "Object ids of the auditors who read the checkpoints in the storage account."
  nullable    = false
  default     = []

  validation {
    condition     = alltrue([for id in var.reader_object_ids : can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", id))])
    error_message = "An object id must be a GUID."
  }
}

variable "registry" {
  type = object({
    id     = string
    server = string
  })
  description = "Resource id and host name of the container registry with the image."
  nullable    = false

  validation {
    condition     = strcontains(var.registry.id, "/Microsoft.ContainerRegistry/registries/") && can(regex("^[a-z0-9.-]+$", var.registry.server))
    error_message = "The registry must be a resource id of a container registry and its host name."
  }
}

variable "retention_days" {
  type        = number
  description = "How long a checkpoint cannot be changed or deleted, in days; a locked policy can only be extended. At least the retention of the register."
  nullable    = false
  default     = 3650

  validation {
    condition     = var.retention_days >= 1 && var.retention_days <= 146000
    error_message = "The retention must be 1 to 146000 days."
  }
}

variable "retention_locked" {
  type        = bool
  description = "Whether the policy is locked, which cannot be undone."
  nullable    = false
  default     = true
}

variable "storage_replication" {
  type        = string
  description = "Replication of the storage account."
  nullable    = false
  default     = "GZRS"

  validation {
    condition     = contains(["LRS", "ZRS", "GRS", "GZRS"], var.storage_replication)
    error_message = "The replication must be LRS, ZRS, GRS or GZRS."
  }
}

variable "tags" {
  type        = map(string)
  description = "Tags of every resource."
  nullable    = false
  default     = {}

  validation {
    condition     = length(var.tags) <= 40
    error_message = "At most 40 tags are allowed."
  }
}

variable "witness_key" {
  type        = string
  description = "First value of the key: 32 random bytes in base64url. Not stored in the state."
  sensitive   = true
  ephemeral   = true
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]{43}$", var.witness_key))
    error_message = "The key must be 32 bytes in base64url."
  }
}

variable "witness_name" {
  type        = string
  description = "Name of the key of the witness: an address without a scheme that its operator owns."
  nullable    = false

  validation {
    condition     = can(regex("^[^\\s+]{1,255}$", var.witness_name))
    error_message = "The name must not contain spaces or +."
  }
}
