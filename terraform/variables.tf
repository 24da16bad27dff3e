variable "additional_regions" {
  type = map(object({
    gateway_region = string
    address_space  = string
  }))
  description = "Further regions, by code (northeurope): the name API Management gives each (North Europe), and its network's range. In the order of their codes they take over the databases."
  nullable    = false
  default     = {}

  validation {
    condition     = length(var.additional_regions) == 0 || (var.database_kind == "autoscale" && startswith(var.gateway_sku, "Premium_"))
    error_message = "More regions need database_kind = \"autoscale\" and a Premium gateway."
  }

  validation {
    condition     = alltrue([for code in keys(var.additional_regions) : can(regex("^[a-z0-9]+$", code)) && code != var.location])
    error_message = "A further region is named by its code, as northeurope, and is another one than location."
  }

  validation {
    condition     = alltrue([for region in var.additional_regions : can(cidrsubnet(region.address_space, 27 - tonumber(split("/", region.address_space)[1]), 3))])
    error_message = "The address space of a region must be an IPv4 range of /25 or larger."
  }

  validation {
    condition     = length(distinct([for region in values(var.additional_regions) : region.address_space])) == length(var.additional_regions) && !contains([for region in values(var.additional_regions) : region.address_space], var.address_space)
    error_message = "Each region needs an address space of its own."
  }
}

variable "address_space" {
  type        = string
  description = "IPv4 range of the virtual network, in CIDR notation; its first four /27 are used."
  nullable    = false
  default     = "10.64.0.0/24"

  validation {
    condition     = can(cidrsubnet(var.address_space, 27 - tonumber(split("/", var.address_space)[1]), 3))
    error_message = "The address space must be an IPv4 range of /25 or larger."
  }
}

variable "alert_emails" {
  type        = list(string)
  description = "Who is told of alerts; empty: they show in the portal alone."
  nullable    = false
  default     = []

  validation {
    condition     = alltrue([for address in var.alert_emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", address))])
    error_message = "Each must be an e-mail address."
  }
}

variable "alert_thresholds" {
  type = object({
    failures  = number
    p95_ms    = number
    refused   = number
    throttled = number
  })
  description = "From where on an alert is raised: answers with 5xx in 5 minutes, the 95th percentile of the time to answer, refused calls and throttled commands in 15 minutes."
  nullable    = false
  default     = { failures = 5, p95_ms = 2000, refused = 10, throttled = 100 }

  validation {
    condition     = alltrue([for threshold in values(var.alert_thresholds) : threshold >= 0])
    error_message = "A threshold cannot be negative."
  }
}

variable "app_container" {
  type = object({
    cpu    = number
    memory = string
  })
  description = "What a replica has. Container Apps takes 2 GiB for each vCPU on its Consumption profile."
  nullable    = false
  default     = { cpu = 0.5, memory = "1Gi" }

  validation {
    condition     = contains([0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4], var.app_container.cpu) && var.app_container.memory == "${2 * var.app_container.cpu}Gi"
    error_message = "Of CPU and memory there are pairs: 0.25 and 0.5Gi, 0.5 and 1Gi, and so on up to 4 and 8Gi."
  }
}

variable "app_scale" {
  type = object({
    min_replicas        = number
    max_replicas        = number
    concurrent_requests = number
  })
  description = "Replicas of each app, and how many requests at a time one of them gets before there is another."
  nullable    = false
  default     = { min_replicas = 0, max_replicas = 10, concurrent_requests = 50 }

  validation {
    condition     = var.app_scale.min_replicas >= 0 && var.app_scale.max_replicas >= max(1, var.app_scale.min_replicas) && var.app_scale.max_replicas <= 300
    error_message = "Replicas go from 0 to 300, the most not below the least."
  }

  validation {
    condition     = var.app_scale.concurrent_requests >= 1
    error_message = "A replica takes one request at least."
  }
}

variable "audit_caller_ranges" {
  type        = list(string)
  description = "IPv4 ranges that Audit takes calls from. Null: the environment's subnet. Where the platform shows other addresses, the smoke test prints them."
  default     = null

  validation {
    condition     = var.audit_caller_ranges == null || try(length(var.audit_caller_ranges) > 0 && alltrue([for range in var.audit_caller_ranges : can(cidrhost(range, 0)) && !endswith(range, "/0")]), false)
    error_message = "Each must be an IPv4 range in CIDR notation, and not the whole internet."
  }
}

variable "availability_test_enabled" {
  type        = bool
  description = "Whether the gateway's health is asked for from outside, every five minutes; opens its port to Application Insights' own addresses."
  nullable    = false
  default     = false
}

variable "backup_tier" {
  type        = string
  description = "How long every moment can be restored: Continuous7Days or Continuous30Days."
  nullable    = false
  default     = "Continuous7Days"

  validation {
    condition     = contains(["Continuous7Days", "Continuous30Days"], var.backup_tier)
    error_message = "There are Continuous7Days and Continuous30Days."
  }
}

variable "budget" {
  type = object({
    amount     = number
    start_date = string
  })
  description = "Monthly budget of each resource group in the billing currency, and the first day of the month it starts with; null: none."
  default     = null

  validation {
    condition     = var.budget == null || try(var.budget.amount > 0 && can(regex("^20\\d\\d-(0[1-9]|1[0-2])-01$", var.budget.start_date)), false)
    error_message = "A budget has an amount above 0 and starts with the first day of a month, as 2026-01-01."
  }
}

variable "client_ip_ranges" {
  type        = list(string)
  description = "IPv4 ranges of the clients that may reach the gateway; empty: none."
  nullable    = false
  default     = []

  validation {
    condition     = alltrue([for range in var.client_ip_ranges : can(cidrhost(range, 0)) && !endswith(range, "/0")])
    error_message = "Each must be an IPv4 range in CIDR notation, and not the whole internet."
  }
}

variable "cors_origins" {
  type        = list(string)
  description = "Origins of web pages that may call the APIs, as browsers send them: https://wards.example. Empty: no cross-origin calls."
  nullable    = false
  default     = []

  validation {
    condition     = alltrue([for origin in var.cors_origins : can(regex("^https://[a-z0-9.-]+(:[0-9]{1,5})?$", origin))])
    error_message = "An origin is https:// and a host name in lower case, with a port or without, and with no path."
  }
}

variable "cosmos_key_role_name" {
  type        = string
  description = "Name of the custom role of roles/cosmos-key-rotation.json, which an owner of the subscription makes once."
  nullable    = false
  default     = "Cosmos DB key rotation"

  validation {
    condition     = length(trimspace(var.cosmos_key_role_name)) > 0
    error_message = "The role needs a name."
  }
}

variable "custom_domain" {
  type = object({
    host_name        = string
    certificate_name = string
  })
  description = "The gateway's own host name, and the name of its certificate in the vault; null: Azure's name alone."
  default     = null

  validation {
    condition     = var.custom_domain == null || try(can(regex("^([a-z0-9-]+\\.)+[a-z]{2,}$", var.custom_domain.host_name)) && can(regex("^[0-9A-Za-z-]{1,127}$", var.custom_domain.certificate_name)), false)
    error_message = "A custom domain has a host name and the name of a certificate in the vault."
  }
}

variable "customer_managed_key_enabled" {
  type        = bool
  description = "Whether a key of the vault encrypts the databases, instead of Azure's own. Cannot be taken back."
  nullable    = false
  default     = false
}

variable "database_kind" {
  type        = string
  description = "serverless and autoscale are Cosmos DB accounts by request units, vcore is a cluster (azurerm_mongo_cluster)."
  nullable    = false
  default     = "serverless"

  validation {
    condition     = contains(["serverless", "autoscale", "vcore"], var.database_kind)
    error_message = "There are serverless, autoscale and vcore."
  }
}

variable "database_max_throughput" {
  type        = number
  description = "Highest request units a second of each database, where database_kind is autoscale."
  nullable    = false
  default     = 1000

  validation {
    condition     = var.database_max_throughput >= 1000 && var.database_max_throughput % 1000 == 0
    error_message = "Throughput is scaled in steps of 1000."
  }
}

variable "ddos_protection_plan_enabled" {
  type        = bool
  description = "Whether there is a DDoS protection plan. It is billed by the month, and serves a hundred addresses."
  nullable    = false
  default     = false
}

variable "delete_lock_enabled" {
  type        = bool
  description = "Whether databases and vault are locked against deletion."
  nullable    = false
  default     = false
}

variable "deployer_ip_ranges" {
  type        = list(string)
  description = "IPv4 ranges that reach vault and registry from outside: opened for an apply and closed after it. Empty: none."
  nullable    = false
  default     = []

  validation {
    condition     = alltrue([for range in var.deployer_ip_ranges : can(cidrhost(range, 0)) && tonumber(split("/", range)[1]) >= 24])
    error_message = "Each must be an IPv4 range in CIDR notation, /24 at the widest."
  }
}

variable "deployer_object_id" {
  type        = string
  description = "Object id of the user, group or application that deploys; null: whoever runs Terraform."
  default     = null

  validation {
    condition     = var.deployer_object_id == null || can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.deployer_object_id))
    error_message = "An object id is a GUID."
  }
}

variable "entra" {
  type = object({
    tenant_id              = string
    audience               = string
    client_application_ids = list(string)
    replaces_keys          = optional(bool, false)
  })
  description = "Tokens of Entra ID that clients must show, beside their key or instead of it; null: keys alone."
  default     = null

  validation {
    condition = var.entra == null || try(
      can(regex("^[0-9a-f-]{36}$", var.entra.tenant_id)) && length(var.entra.audience) > 0
      && length(var.entra.client_application_ids) > 0
      && alltrue([for id in var.entra.client_application_ids : can(regex("^[0-9a-f-]{36}$", id))]),
      false
    )
    error_message = "Tokens are checked for a tenant, an audience and one application at least, by their GUIDs."
  }
}

variable "environment" {
  type        = string
  description = "Name of the environment, part of every name: dev, prod."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,5}$", var.environment))
    error_message = "An environment is named by 2 to 6 lower-case letters and digits, a letter first."
  }
}

variable "gateway_sku" {
  type        = string
  description = "Tier and units of API Management: Developer_1, or Premium_1 and more."
  nullable    = false
  default     = "Developer_1"

  validation {
    condition     = can(regex("^(Developer_1|Premium_[1-9][0-9]?)$", var.gateway_sku))
    error_message = "Only Developer_1 and Premium_<units> stand in a virtual network in external mode."
  }
}

variable "host_key_cache_seconds" {
  type        = number
  description = "How long the gateway keeps a host key; less than half of key_grace_seconds."
  nullable    = false
  default     = 120

  validation {
    condition     = var.host_key_cache_seconds >= 1 && var.host_key_cache_seconds < var.key_grace_seconds / 2
    error_message = "The gateway must look for a new key before half of the grace time of the old one is over."
  }
}

variable "images" {
  type = object({
    patient  = string
    audit    = string
    rotation = string
  })
  description = "Images by their digests, as <registry>/patient@sha256:<digest>."
  nullable    = false

  validation {
    condition     = alltrue([for image in values(var.images) : can(regex("^[a-z0-9][a-z0-9./-]*@sha256:[0-9a-f]{64}$", image))])
    error_message = "An image is named by its digest, not by a tag."
  }
}

variable "key_grace_seconds" {
  type        = number
  description = "How long a superseded key is accepted; three times key_refresh_seconds at least."
  nullable    = false
  default     = 600

  validation {
    condition     = var.key_grace_seconds >= 3 * var.key_refresh_seconds && var.key_grace_seconds <= 31536000
    error_message = "The grace time is three times key_refresh_seconds at least."
  }
}

variable "key_refresh_seconds" {
  type        = number
  description = "How old what a service knows of a key may grow."
  nullable    = false
  default     = 60

  validation {
    condition     = var.key_refresh_seconds >= 1 && var.key_refresh_seconds <= 60
    error_message = "Services look for new keys once a minute at least."
  }
}

variable "key_rotation_days" {
  type        = number
  description = "The age at which a key is rotated."
  nullable    = false
  default     = 60

  validation {
    condition     = var.key_rotation_days >= 1 && var.key_rotation_days <= 365
    error_message = "Keys are rotated between once a day and once a year."
  }
}

variable "load_test" {
  type = object({
    image           = string
    key_secret_name = string
    script          = optional(string, "load")
  })
  description = "A job that puts load on the gateway from inside the network, started by hand: the k6 image with the scripts of k6/ in /k6, the name of the vault's secret that holds its subscription key, and the script; null: none."
  default     = null

  validation {
    condition     = var.load_test == null || try(contains(["breakpoint", "load", "rotation", "smoke", "soak", "spike"], var.load_test.script), false)
    error_message = "The load test's script is breakpoint, load, rotation, smoke, soak or spike."
  }

  validation {
    condition     = var.load_test == null || try(can(regex("@sha256:[0-9a-f]{64}$", var.load_test.image)) && can(regex("^[0-9A-Za-z-]{1,127}$", var.load_test.key_secret_name)), false)
    error_message = "The load test has an image by its digest and the name of a secret."
  }

  validation {
    condition     = var.load_test == null || var.nat_gateway_enabled
    error_message = "The load test needs nat_gateway_enabled: the gateway must know the address that it comes from."
  }
}

variable "location" {
  type        = string
  description = "Azure region, as a code: westeurope."
  nullable    = false
  default     = "westeurope"

  validation {
    condition     = can(regex("^[a-z0-9]+$", var.location))
    error_message = "A region is named by its code, as westeurope."
  }
}

variable "log_level" {
  type        = string
  description = "What the services log."
  nullable    = false
  default     = "info"

  validation {
    condition     = contains(["fatal", "error", "warn", "info", "debug"], var.log_level)
    error_message = "There are fatal, error, warn, info and debug."
  }
}

variable "log_retention_days" {
  type        = number
  description = "How long logs are kept."
  nullable    = false
  default     = 90

  validation {
    condition     = contains([30, 60, 90, 120, 180, 270, 365, 550, 730], var.log_retention_days)
    error_message = "Logs are kept for 30, 60, 90, 120, 180, 270, 365, 550 or 730 days."
  }
}

variable "name" {
  type        = string
  description = "Name of the system, part of every name."
  nullable    = false
  default     = "patients"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,8}$", var.name))
    error_message = "The system is named by 2 to 9 lower-case letters and digits, a letter first."
  }

  validation {
    condition     = length(var.name) + length(var.environment) <= 13
    error_message = "The names of system and environment have 13 letters together at most: a vault's name has room for no more."
  }
}

variable "nat_gateway_enabled" {
  type        = bool
  description = "Whether what leaves the environment comes from one known address."
  nullable    = false
  default     = false
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
  default = {
    client = { display_name = "Client", calls_per_minute = 600, calls_per_day = 200000, apis = ["patient", "echo"] }
  }

  validation {
    condition = length(var.products) > 0 && alltrue([
      for id, product in var.products : can(regex("^[a-z][a-z0-9-]{0,79}$", id)) && product.calls_per_minute >= 1 && product.calls_per_day >= 1
    ])
    error_message = "There is one product at least; each has an id in lower case and limits above 0."
  }

  validation {
    condition     = alltrue(flatten([for product in var.products : [for api in product.apis : contains(["patient", "echo"], api)]]))
    error_message = "A product opens patient, echo or both; Audit is not published."
  }
}

variable "publisher" {
  type = object({
    name  = string
    email = string
  })
  description = "Who offers the APIs, as API Management tells its clients."
  nullable    = false

  validation {
    condition     = length(var.publisher.name) > 0 && can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", var.publisher.email))
    error_message = "The publisher has a name and an e-mail address."
  }
}

variable "rotation_schedule" {
  type        = string
  description = "When the rotation looks for keys that are due, as a cron expression in UTC; once a day."
  nullable    = false
  default     = "17 3 * * *"

  validation {
    condition     = can(regex("^[0-5]?[0-9] ([01]?[0-9]|2[0-3]) \\* \\* \\*$", var.rotation_schedule))
    error_message = "The rotation runs once a day: \"<minute> <hour> * * *\"."
  }
}

variable "runner_enabled" {
  type        = bool
  description = "Whether there is a subnet for a runner that deploys from inside the network."
  nullable    = false
  default     = false
}

variable "secret_values" {
  type        = map(string)
  description = "First values of the keys: 32 bytes at random in base64url each. Written where a secret is made and never again; in no state and no plan."
  nullable    = false
  ephemeral   = true

  validation {
    condition     = length(setsubtract(["patient-host-key", "audit-host-key", "patient-data-key"], keys(var.secret_values))) == 0 && alltrue([for value in values(var.secret_values) : can(regex("^[0-9A-Za-z_-]{43}$", value))])
    error_message = "patient-host-key, audit-host-key and patient-data-key are each 32 bytes in base64url."
  }
}

variable "tags" {
  type        = map(string)
  description = "Tags of every resource, beside the system's and the environment's name."
  nullable    = false
  default     = {}

  validation {
    condition     = length(var.tags) <= 40 && alltrue([for name in keys(var.tags) : !can(regex("[<>%&\\\\?/]", name))])
    error_message = "There are 40 tags at most, without <, >, %, &, \\, ? and / in their names."
  }
}

variable "telemetry_sampling" {
  type        = number
  description = "Share of requests that are traced, 0 to 1; metrics count them all."
  nullable    = false
  default     = 1

  validation {
    condition     = var.telemetry_sampling >= 0 && var.telemetry_sampling <= 1
    error_message = "A share lies between 0 and 1."
  }
}

variable "vault_sku" {
  type        = string
  description = "standard, or premium with hardware security modules."
  nullable    = false
  default     = "standard"

  validation {
    condition     = contains(["standard", "premium"], var.vault_sku)
    error_message = "There are standard and premium."
  }
}

variable "vcore" {
  type = object({
    compute_tier       = string
    storage_size_in_gb = number
    shard_count        = number
  })
  description = "Size of each cluster, where database_kind is vcore."
  nullable    = false
  default     = { compute_tier = "M30", storage_size_in_gb = 128, shard_count = 1 }

  validation {
    condition     = can(regex("^M(10|20|30|40|50|60|80|200)$", var.vcore.compute_tier)) && var.vcore.storage_size_in_gb >= 32 && var.vcore.shard_count >= 1
    error_message = "A cluster has a tier from M10 to M200, 32 GB and one shard at least."
  }
}

variable "vcore_passwords" {
  type        = map(string)
  description = "Administrator's password of each cluster, patient and audit, where database_kind is vcore. The provider has no write-only argument for it, so it stands in the state."
  nullable    = false
  sensitive   = true
  default     = {}

  validation {
    condition     = var.database_kind != "vcore" || alltrue([for service in ["patient", "audit"] : length(lookup(var.vcore_passwords, service, "")) >= 16])
    error_message = "A cluster needs a password of 16 characters at least, for patient and for audit."
  }
}

variable "zone_redundant" {
  type        = bool
  description = "Whether everything spreads over the region's zones; needs a Premium gateway of two units at least, and database_kind autoscale or vcore."
  nullable    = false
  default     = false

  validation {
    condition     = !var.zone_redundant || (startswith(var.gateway_sku, "Premium_") && var.gateway_sku != "Premium_1" && var.database_kind != "serverless")
    error_message = "Zones need a Premium gateway of two units at least, and database_kind autoscale or vcore."
  }
}
