variable "additional_regions" {
  type = map(object({
    gateway_region = string
    address_space  = string
  }))
  description = "Additional regions, by code (northeurope): the name that API Management uses (North Europe), and the range of the network. Databases fail over in the order of the codes."
  nullable    = false
  default     = {}

  validation {
    condition     = length(var.additional_regions) == 0 || (var.database_kind == "autoscale" && startswith(var.gateway_sku, "Premium_"))
    error_message = "Additional regions need database_kind = \"autoscale\" and a Premium gateway."
  }

  validation {
    condition     = alltrue([for code in keys(var.additional_regions) : can(regex("^[a-z0-9]+$", code)) && code != var.location])
    error_message = "An additional region must be a region code such as northeurope, different from location."
  }

  validation {
    condition     = alltrue([for region in var.additional_regions : can(cidrsubnet(region.address_space, 27 - tonumber(split("/", region.address_space)[1]), 3))])
    error_message = "The address space of a region must be an IPv4 range of /25 or larger."
  }

  validation {
    condition     = length(distinct([for region in values(var.additional_regions) : region.address_space])) == length(var.additional_regions) && !contains([for region in values(var.additional_regions) : region.address_space], var.address_space)
    error_message = "Each region needs its own address space."
  }
}

variable "address_space" {
  type        = string
  description = "IPv4 range of the virtual network, in CIDR notation; the subnet of the environment and three /27 are used."
  nullable    = false
  default     = "10.64.0.0/24"

  validation {
    condition     = can(cidrsubnet(var.address_space, 27 - tonumber(split("/", var.address_space)[1]), 3))
    error_message = "The address space must be an IPv4 range of /25 or larger."
  }
}

variable "alert_emails" {
  type        = list(string)
  description = "E-mail addresses that receive alerts; empty: alerts are visible in the portal only."
  nullable    = false
  default     = []

  validation {
    condition     = alltrue([for address in var.alert_emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", address))])
    error_message = "Each entry must be an e-mail address."
  }
}

variable "alert_thresholds" {
  type = object({
    failures     = optional(number, 5)
    not_starting = optional(number, 5)
    p95_ms       = optional(number, 2000)
    refused      = optional(number, 10)
    throttled    = optional(number, 100)
  })
  description = "Alert thresholds: 5xx responses in 5 minutes, 95th percentile of the response time, and refused calls, throttled commands and failed starts in 15 minutes."
  nullable    = false
  default     = {}

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
  description = "CPU and memory of a replica. The Consumption profile of Container Apps requires 2 GiB for each vCPU."
  nullable    = false
  default     = { cpu = 0.5, memory = "1Gi" }

  validation {
    condition     = contains([0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2, 2.5, 3, 3.5, 4], var.app_container.cpu) && var.app_container.memory == "${2 * var.app_container.cpu}Gi"
    error_message = "CPU and memory must be a supported pair: 0.25 and 0.5Gi, 0.5 and 1Gi, and so on up to 4 and 8Gi."
  }
}

variable "app_scale" {
  type = object({
    min_replicas        = number
    max_replicas        = number
    concurrent_requests = number
  })
  description = "Minimum and maximum replicas of each app, and concurrent requests for each replica before another one is started."
  nullable    = false
  default     = { min_replicas = 0, max_replicas = 10, concurrent_requests = 50 }

  validation {
    condition     = var.app_scale.min_replicas >= 0 && var.app_scale.max_replicas >= max(1, var.app_scale.min_replicas) && var.app_scale.max_replicas <= 300
    error_message = "Replicas must be between 0 and 300, and the maximum must not be below the minimum."
  }

  validation {
    condition     = var.app_scale.concurrent_requests >= 1
    error_message = "A replica must accept at least one request."
  }
}

variable "audit_caller_ranges" {
  type        = list(string)
  description = "IPv4 ranges that audit accepts calls from, beside the gateway; null: the subnet of the environment and the addresses of the platform. If others are used, the smoke test prints them."
  default     = null

  validation {
    condition     = var.audit_caller_ranges == null || try(length(var.audit_caller_ranges) > 0 && alltrue([for range in var.audit_caller_ranges : can(cidrhost(range, 0)) && !endswith(range, "/0")]), false)
    error_message = "Each entry must be an IPv4 range in CIDR notation, and not the whole internet."
  }
}

variable "auditor_page" {
  type = object({
    min_replicas = optional(number, 0)
  })
  description = "The auditor's page, at /auditor of the gateway: 0 replicas while nobody uses it, or 1, so that nobody waits for a cold start; null: no page."
  default     = null

  validation {
    condition     = var.auditor_page == null || try(contains([0, 1], var.auditor_page.min_replicas), false)
    error_message = "The auditor's page has 0 replicas at least, or 1."
  }

  validation {
    condition     = var.auditor_page == null || var.images.auditor != null
    error_message = "The auditor's page needs images.auditor."
  }

  validation {
    condition     = var.auditor_page == null || contains(keys(var.secret_values), "auditor-session-key")
    error_message = "The auditor's page needs the first value of auditor-session-key."
  }

  validation {
    condition     = var.auditor_page == null || var.nat_gateway_enabled
    error_message = "The auditor's page needs nat_gateway_enabled, so that the gateway can accept its address."
  }

  # While its revision is replaced, the page runs twice
  validation {
    condition     = var.auditor_page == null || 4 * var.app_scale.max_replicas + 14 <= lookup({ 25 = 570, 26 = 250, 27 = 90 }, var.environment_prefix_length, 0)
    error_message = "The subnet of the environment is too small for the auditor's page beside app_scale.max_replicas: a lower prefix length, or fewer replicas."
  }
}

variable "availability_test_enabled" {
  type        = bool
  description = "Whether an availability test checks the health of the gateway every five minutes; opens the port to the addresses of Application Insights."
  nullable    = false
  default     = false
}

variable "backup_tier" {
  type        = string
  description = "Retention time of the continuous backup: Continuous7Days or Continuous30Days."
  nullable    = false
  default     = "Continuous7Days"

  validation {
    condition     = contains(["Continuous7Days", "Continuous30Days"], var.backup_tier)
    error_message = "The backup tier must be Continuous7Days or Continuous30Days."
  }
}

variable "budget" {
  type = object({
    amount = number
  })
  description = "Monthly budget of each resource group in the billing currency, from the month of the first apply; null: no budget."
  default     = null

  validation {
    condition     = var.budget == null || try(var.budget.amount > 0, false)
    error_message = "A budget needs an amount above 0."
  }
}

variable "client_ip_ranges" {
  type        = list(string)
  description = "IPv4 ranges of the clients that can reach the gateway; empty: none."
  nullable    = false
  default     = []

  validation {
    condition     = alltrue([for range in var.client_ip_ranges : can(cidrhost(range, 0)) && !endswith(range, "/0")])
    error_message = "Each entry must be an IPv4 range in CIDR notation, and not the whole internet."
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

variable "custom_domain" {
  type = object({
    host_name        = string
    certificate_name = string
    bound            = optional(bool, false)
  })
  description = "Custom host name of the gateway, and the name of its certificate in the vault; null: Azure's host name only. Set bound for a second apply, after the first one gave the gateway access to the certificate."
  default     = null

  validation {
    condition     = var.custom_domain == null || try(can(regex("^([a-z0-9-]+\\.)+[a-z]{2,}$", var.custom_domain.host_name)) && can(regex("^[0-9A-Za-z-]{1,127}$", var.custom_domain.certificate_name)), false)
    error_message = "A custom domain needs a host name and the name of a certificate in the vault."
  }
}

variable "customer_managed_key_enabled" {
  type        = bool
  description = "Whether a key in the vault encrypts the databases instead of a key managed by Azure. Cannot be turned off again."
  nullable    = false
  default     = false
}

variable "database_kind" {
  type        = string
  description = "Kind of database: serverless or autoscale (Cosmos DB accounts with request units), or vcore (a cluster, azurerm_mongo_cluster)."
  nullable    = false
  default     = "serverless"

  validation {
    condition     = contains(["serverless", "autoscale", "vcore"], var.database_kind)
    error_message = "The kind of database must be serverless, autoscale or vcore."
  }
}

variable "database_max_throughput" {
  type        = number
  description = "Maximum request units a second of each database, if database_kind is autoscale."
  nullable    = false
  default     = 1000

  validation {
    condition     = var.database_max_throughput >= 1000 && var.database_max_throughput % 1000 == 0
    error_message = "The maximum throughput must be a multiple of 1000."
  }
}

variable "ddos_protection_plan_enabled" {
  type        = bool
  description = "Whether to create a DDoS protection plan. It is billed by the month and covers a hundred addresses."
  nullable    = false
  default     = false
}

variable "default_region" {
  type        = string
  description = "Country of phone numbers that do not name theirs, ISO 3166-1 alpha-2."
  nullable    = false
  default     = "GB"

  validation {
    condition     = can(regex("^[A-Z]{2}$", var.default_region))
    error_message = "A country has two capital letters."
  }
}

variable "delete_lock_enabled" {
  type        = bool
  description = "Whether databases and vault have delete locks. They also refuse the deletion of role assignments, so the deployer must be a fixed one: deployer_object_id."
  nullable    = false
  default     = false

  validation {
    condition     = !var.delete_lock_enabled || var.deployer_object_id != null
    error_message = "With delete locks, deployer_object_id must be set, best to a group: the role of another deployer could not be replaced."
  }
}

variable "deletion_grace_days" {
  type        = number
  description = "How long a deleted patient is kept and can be restored, in days; 0 removes patients at once."
  nullable    = false
  default     = 0

  validation {
    condition     = var.deletion_grace_days >= 0 && var.deletion_grace_days <= 365 && floor(var.deletion_grace_days) == var.deletion_grace_days
    error_message = "The grace period must be a whole number of days from 0 to 365."
  }
}

variable "deployer_ip_ranges" {
  type        = list(string)
  description = "IPv4 ranges that can reach the vault and the registry from outside, opened for an apply and closed afterwards; empty: none."
  nullable    = false
  default     = []

  validation {
    condition     = alltrue([for range in var.deployer_ip_ranges : can(cidrhost(range, 0)) && tonumber(split("/", range)[1]) >= 24])
    error_message = "Each entry must be an IPv4 range in CIDR notation, at most a /24."
  }
}

variable "deployer_object_id" {
  type        = string
  description = "Object id of the user, group or application that deploys; null: the one that runs Terraform."
  default     = null

  validation {
    condition     = var.deployer_object_id == null || can(regex("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", var.deployer_object_id))
    error_message = "An object id must be a GUID."
  }
}

variable "entra" {
  type = object({
    tenant_id              = string
    audience               = string
    client_application_ids = list(string)
    replaces_keys          = optional(bool, false)
  })
  description = "Entra ID tokens that clients must send in addition to their key or instead of it; null: keys only."
  default     = null

  validation {
    condition = var.entra == null || try(
      can(regex("^[0-9a-f-]{36}$", var.entra.tenant_id)) && length(var.entra.audience) > 0
      && length(var.entra.client_application_ids) > 0
      && alltrue([for id in var.entra.client_application_ids : can(regex("^[0-9a-f-]{36}$", id))]),
      false
    )
    error_message = "Token validation needs a tenant, an audience and at least one application, all as GUIDs."
  }
}

variable "environment" {
  type        = string
  description = "Name of the environment, part of every name: dev, prod."
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,5}$", var.environment))
    error_message = "The name of an environment must have 2 to 6 lower-case letters and digits, starting with a letter."
  }
}

variable "environment_prefix_length" {
  type        = number
  description = "Prefix length of the subnet of the Container Apps environment: 27 for 90 replicas, 26 for 250, 25 for 570. It cannot be changed later."
  nullable    = false
  default     = 27

  # https://learn.microsoft.com/azure/container-apps/custom-virtual-networks
  validation {
    condition     = contains([25, 26, 27], var.environment_prefix_length)
    error_message = "The prefix length must be 25, 26 or 27."
  }

  # While a revision is replaced, both apps run twice; ten for the jobs
  validation {
    condition     = 4 * var.app_scale.max_replicas + 10 <= lookup({ 25 = 570, 26 = 250, 27 = 90 }, var.environment_prefix_length, 0)
    error_message = "The subnet of the environment is too small for two apps with app_scale.max_replicas while an upgrade runs: a lower prefix length, or fewer replicas."
  }

  validation {
    condition = alltrue([
      for space in concat([var.address_space], [for region in values(var.additional_regions) : region.address_space]) :
      can(cidrsubnet(space, 27 - tonumber(split("/", space)[1]), pow(2, 27 - var.environment_prefix_length) + 2))
    ])
    error_message = "The address space of each region must have room for the subnet of the environment and three /27."
  }
}

variable "gateway_sku" {
  type        = string
  description = "Tier and units of API Management: Developer_1, or Premium_1 and more."
  nullable    = false
  default     = "Developer_1"

  validation {
    condition     = can(regex("^(Developer_1|Premium_[1-9][0-9]?)$", var.gateway_sku))
    error_message = "A virtual network in external mode needs Developer_1 or Premium_<units>."
  }
}

variable "host_key_cache_seconds" {
  type        = number
  description = "How long the gateway caches a host key, in seconds; less than half of key_grace_seconds."
  nullable    = false
  default     = 120

  validation {
    condition     = var.host_key_cache_seconds >= 1 && var.host_key_cache_seconds < var.key_grace_seconds / 2
    error_message = "The gateway must refresh its key before half of the grace period of the old key is over."
  }
}

variable "images" {
  type = object({
    patient  = string
    audit    = string
    rotation = string
    auditor  = optional(string)
  })
  description = "Images with their digests, such as <registry>/patient@sha256:<digest>."
  nullable    = false

  validation {
    condition     = alltrue([for image in values(var.images) : image == null || can(regex("^[a-z0-9][a-z0-9./-]*@sha256:[0-9a-f]{64}$", image))])
    error_message = "Images must be referenced by digest, not by tag."
  }
}

variable "key_grace_seconds" {
  type        = number
  description = "How long a superseded key is accepted, in seconds; at least three times key_refresh_seconds."
  nullable    = false
  default     = 600

  validation {
    condition     = var.key_grace_seconds >= 3 * var.key_refresh_seconds && var.key_grace_seconds <= 31536000
    error_message = "The grace period must be at least three times key_refresh_seconds."
  }
}

variable "key_refresh_seconds" {
  type        = number
  description = "Maximum age of the keys that a service caches, in seconds."
  nullable    = false
  default     = 60

  validation {
    condition     = var.key_refresh_seconds >= 1 && var.key_refresh_seconds <= 60
    error_message = "Services must refresh their keys at least once a minute."
  }
}

variable "key_rotation_days" {
  type        = number
  description = "Age at which a key is rotated, in days."
  nullable    = false
  default     = 60

  validation {
    condition     = var.key_rotation_days >= 1 && var.key_rotation_days <= 365
    error_message = "Keys must be rotated at least once a year and at most once a day."
  }
}

variable "load_test" {
  type = object({
    image           = string
    key_secret_name = string
    script          = optional(string, "load")
  })
  description = "A load test of the gateway from inside the network, started by hand: a k6 image with the scripts of k6/ in /k6, the name of the secret with its subscription key, and the script; null: no load test."
  default     = null

  validation {
    condition     = var.load_test == null || try(contains(["breakpoint", "load", "rotation", "smoke", "soak", "spike"], var.load_test.script), false)
    error_message = "The script of the load test must be breakpoint, load, rotation, smoke, soak or spike."
  }

  validation {
    condition     = var.load_test == null || try(can(regex("@sha256:[0-9a-f]{64}$", var.load_test.image)) && can(regex("^[0-9A-Za-z-]{1,127}$", var.load_test.key_secret_name)), false)
    error_message = "The load test needs an image with its digest and the name of a secret."
  }

  validation {
    condition     = var.load_test == null || var.nat_gateway_enabled
    error_message = "The load test needs nat_gateway_enabled, so that the gateway can accept its address."
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

variable "log_daily_cap_gb" {
  type        = number
  description = "Daily cap of the logs, in GB, against a bill out of control; -1: none. Once it is reached, nothing is logged until the next day."
  nullable    = false
  default     = 5

  validation {
    condition     = var.log_daily_cap_gb == -1 || var.log_daily_cap_gb >= 0.1
    error_message = "The daily cap must be at least 0.1 GB, or -1 for none."
  }
}

variable "log_level" {
  type        = string
  description = "Log level of the services."
  nullable    = false
  default     = "info"

  validation {
    condition     = contains(["fatal", "error", "warn", "info", "debug"], var.log_level)
    error_message = "The log level must be fatal, error, warn, info or debug."
  }
}

variable "log_origin" {
  type        = string
  description = "Name of the audit log in its checkpoints: by convention a URL without its scheme. It must never change."
  nullable    = false
  default     = "audited-patient-api/register"

  validation {
    condition     = can(regex("^[^\\s+]{1,256}$", var.log_origin))
    error_message = "The origin must have 1 to 256 characters, without spaces and without +."
  }
}

variable "log_retention_days" {
  type        = number
  description = "Retention time of logs, in days."
  nullable    = false
  default     = 90

  validation {
    condition     = contains([30, 60, 90, 120, 180, 270, 365, 550, 730], var.log_retention_days)
    error_message = "Log retention must be 30, 60, 90, 120, 180, 270, 365, 550 or 730 days."
  }
}

variable "name" {
  type        = string
  description = "Name of the system, part of every name."
  nullable    = false
  default     = "patients"

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,8}$", var.name))
    error_message = "The name of the system must have 2 to 9 lower-case letters and digits, starting with a letter."
  }

  validation {
    condition     = length(var.name) + length(var.environment) <= 13
    error_message = "The names of system and environment must have at most 13 characters together, because names of vaults are short."
  }
}

variable "nat_gateway_enabled" {
  type        = bool
  description = "Whether outbound traffic of the environment has a fixed address (NAT gateway)."
  nullable    = false
  default     = false
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
  default = {
    client         = { display_name = "Client", calls_per_minute = 600, calls_per_day = 200000, apis = ["patient", "echo"] }
    auditor        = { display_name = "Auditor", calls_per_minute = 600, calls_per_day = 50000, apis = ["audit", "log", "patient"] }
    subject-access = { display_name = "Subject access", calls_per_minute = 10, calls_per_day = 100, apis = ["patient"] }
  }

  validation {
    condition = length(var.products) > 0 && alltrue([
      for id, product in var.products : can(regex("^[a-z][a-z0-9-]{0,79}$", id)) && product.calls_per_minute >= 1 && product.calls_per_day >= 1
    ])
    error_message = "At least one product is needed; each must have a lower-case id and limits above 0."
  }

  validation {
    condition     = alltrue(flatten([for product in var.products : [for api in product.apis : contains(["patient", "audit", "log", "echo"], api)]]))
    error_message = "A product must include patient, audit, log or echo."
  }

  validation {
    condition     = alltrue([for id, product in var.products : id == "auditor" || length(setintersection(product.apis, ["audit", "log"])) == 0])
    error_message = "Only the product auditor may include audit and log."
  }
}

variable "publisher" {
  type = object({
    name  = string
    email = string
  })
  description = "Publisher of the APIs, shown to clients by API Management."
  nullable    = false

  validation {
    condition     = length(var.publisher.name) > 0 && can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", var.publisher.email))
    error_message = "The publisher needs a name and an e-mail address."
  }
}

variable "query_max_days" {
  type        = number
  description = "Longest range of dates that one query of the audit register may have, in days."
  nullable    = false
  default     = 31

  validation {
    condition     = var.query_max_days >= 1 && var.query_max_days <= 3660 && floor(var.query_max_days) == var.query_max_days
    error_message = "The range must be a whole number of days from 1 to 3660."
  }
}

variable "review" {
  type = object({
    usual_hours = optional(string, "06:00-22:00")
    time_zone   = optional(string, "UTC")
  })
  description = "The review of accesses: the hours of the day in which people are at work (the same time twice: all day), and their time zone, a name of the IANA database."
  nullable    = false
  default     = {}

  validation {
    condition     = can(regex("^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$", var.review.usual_hours))
    error_message = "The usual hours must be two times, such as 06:00-22:00."
  }

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$", var.review.time_zone))
    error_message = "The time zone must be a name of the IANA database, such as Europe/London."
  }
}

variable "rotation_schedule" {
  type        = string
  description = "When rotation runs, as a cron expression in UTC; once a day."
  nullable    = false
  default     = "17 3 * * *"

  validation {
    condition     = can(regex("^[0-5]?[0-9] ([01]?[0-9]|2[0-3]) \\* \\* \\*$", var.rotation_schedule))
    error_message = "Rotation must run once a day: \"<minute> <hour> * * *\"."
  }
}

variable "runner_enabled" {
  type        = bool
  description = "Whether to create a subnet for a build runner that deploys from inside the network; needs nat_gateway_enabled, its way out."
  nullable    = false
  default     = false

  validation {
    condition     = !var.runner_enabled || var.nat_gateway_enabled
    error_message = "A runner needs nat_gateway_enabled: its subnet has no other way out."
  }
}

variable "secret_values" {
  type        = map(string)
  description = "First values of the keys: 32 random bytes each, in base64url. Written only when a secret is created, and stored in no state and no plan."
  nullable    = false
  ephemeral   = true

  validation {
    condition     = length(setsubtract(["patient-host-key", "audit-host-key", "audit-log-key", "audit-query-key", "patient-data-key"], keys(var.secret_values))) == 0 && alltrue([for value in values(var.secret_values) : can(regex("^[0-9A-Za-z_-]{43}$", value))])
    error_message = "patient-host-key, audit-host-key, audit-log-key, audit-query-key and patient-data-key must each be 32 bytes in base64url."
  }
}

variable "sequence_minutes" {
  type        = number
  description = "How often a job adds to the audit log what the replicas of audit left out, and has it witnessed, in minutes."
  nullable    = false
  default     = 10

  validation {
    condition     = contains([5, 10, 15, 20, 30], var.sequence_minutes)
    error_message = "The period must be 5, 10, 15, 20 or 30 minutes."
  }
}

variable "tags" {
  type        = map(string)
  description = "Tags of every resource, in addition to the names of system and environment."
  nullable    = false
  default     = {}

  validation {
    condition     = length(var.tags) <= 40 && alltrue([for name in keys(var.tags) : !can(regex("[<>%&\\\\?/]", name))])
    error_message = "At most 40 tags are allowed, and their names must not contain <, >, %, &, \\, ? or /."
  }
}

variable "telemetry_sampling" {
  type        = number
  description = "Sampling ratio of traces, 0 to 1; metrics count all requests."
  nullable    = false
  default     = 1

  validation {
    condition     = var.telemetry_sampling >= 0 && var.telemetry_sampling <= 1
    error_message = "The sampling ratio must be between 0 and 1."
  }
}

variable "upgrade" {
  type = object({
    live       = map(map(string))
    percentage = number
  })
  description = "While an upgrade runs: suffix of the revision that stays, by region and app, and the percentage of the traffic that the new revisions get; npm run deploy -- ENVIRONMENT --upgrade PERCENT sets it."
  default     = null

  validation {
    condition     = var.upgrade == null || try(var.upgrade.percentage >= 0 && var.upgrade.percentage <= 100 && floor(var.upgrade.percentage) == var.upgrade.percentage, false)
    error_message = "The percentage must be an integer from 0 to 100."
  }

  validation {
    condition = var.upgrade == null || try(alltrue([
      for region in concat(["primary"], keys(var.additional_regions)) : alltrue([
        for app in ["audit", "patient"] : can(regex("^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", var.upgrade.live[region][app]))
      ])
    ]), false)
    error_message = "Each region needs the suffix of a revision of patient and of audit."
  }
}

variable "vault_sku" {
  type        = string
  description = "standard, or premium with hardware security modules."
  nullable    = false
  default     = "standard"

  validation {
    condition     = contains(["standard", "premium"], var.vault_sku)
    error_message = "The SKU must be standard or premium."
  }
}

variable "vcore" {
  type = object({
    compute_tier       = string
    storage_size_in_gb = number
    shard_count        = number
  })
  description = "Size of each cluster, if database_kind is vcore."
  nullable    = false
  default     = { compute_tier = "M30", storage_size_in_gb = 128, shard_count = 1 }

  validation {
    condition     = can(regex("^M(10|20|30|40|50|60|80|200)$", var.vcore.compute_tier)) && var.vcore.storage_size_in_gb >= 32 && var.vcore.shard_count >= 1
    error_message = "A cluster needs a tier from M10 to M200, at least 32 GB and at least one shard."
  }
}

variable "vcore_passwords" {
  type        = map(string)
  description = "Administrator's password of each cluster, patient and audit, if database_kind is vcore. The provider has no write-only argument for it, so the state contains it."
  nullable    = false
  sensitive   = true
  default     = {}

  validation {
    condition     = var.database_kind != "vcore" || alltrue([for service in ["patient", "audit"] : length(lookup(var.vcore_passwords, service, "")) >= 16])
    error_message = "Both clusters, patient and audit, need a password of at least 16 characters."
  }
}

variable "witnesses" {
  type = list(object({
    key = string
    url = string
  }))
  description = "Witnesses of the audit log: public key and URL. While the key of a witness is rotated, it is listed twice, with both keys."
  nullable    = false
  default     = []

  validation {
    condition     = alltrue([for witness in var.witnesses : can(regex("^[^\\s+]+\\+[0-9a-f]{8}\\+[A-Za-z0-9+/]{43,44}=*$", witness.key)) && can(regex("^https://[^\\s@?#]+$", witness.url))])
    error_message = "A witness needs a public key <name>+<key id>+<base64> and an https URL."
  }
}

variable "zone_redundant" {
  type        = bool
  description = "Whether all resources are spread over the availability zones of the region; needs a Premium gateway with at least two units, and database_kind autoscale or vcore."
  nullable    = false
  default     = false

  validation {
    condition     = !var.zone_redundant || (startswith(var.gateway_sku, "Premium_") && var.gateway_sku != "Premium_1" && var.database_kind != "serverless")
    error_message = "Availability zones need a Premium gateway with at least two units, and database_kind autoscale or vcore."
  }
}
