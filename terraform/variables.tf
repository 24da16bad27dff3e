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
    error_message = "Additional regions need database_kind = \"autoscale\" and a Premium gateway; the v2 tiers have one region."
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
    condition     = alltrue([for region in var.additional_regions : can(cidrsubnet(region.address_space, 27 - tonumber(split("/", region.address_space)[1]), pow(2, 27 - var.network.environment_prefix_length) + 2))])
    error_message = "The address space of a region must have room for the subnet of the environment and three /27."
  }

  validation {
    condition     = length(distinct([for region in values(var.additional_regions) : region.address_space])) == length(var.additional_regions) && !contains([for region in values(var.additional_regions) : region.address_space], var.network.address_space)
    error_message = "Each region needs its own address space."
  }
}

variable "alerts" {
  type = object({
    emails = optional(list(string), [])
    thresholds = optional(object({
      failures     = optional(number, 5)
      not_starting = optional(number, 5)
      p95_ms       = optional(number, 2000)
      refused      = optional(number, 10)
      throttled    = optional(number, 100)
    }), {})
    availability_test = optional(bool, false)
    budget = optional(object({
      amount = number
    }))
  })
  description = "Alerts. emails: e-mail addresses that receive alerts; empty: alerts are visible in the portal only. thresholds: alert thresholds: 5xx responses in 5 minutes, 95th percentile of the response time, and refused calls, throttled commands and failed starts in 15 minutes. availability_test: whether an availability test checks the health of the gateway every five minutes; opens the port to the addresses of Application Insights. budget: monthly budget of each resource group in the billing currency, from the month of the first apply; null: no budget."
  nullable    = false
  default     = {}

  validation {
    condition     = alltrue([for address in var.alerts.emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", address))])
    error_message = "Each entry must be an e-mail address."
  }

  validation {
    condition     = alltrue([for threshold in values(var.alerts.thresholds) : threshold >= 0])
    error_message = "A threshold cannot be negative."
  }

  validation {
    condition     = var.alerts.budget == null || try(var.alerts.budget.amount > 0, false)
    error_message = "A budget needs an amount above 0."
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
    condition     = var.auditor_page == null || var.network.nat_gateway
    error_message = "The auditor's page needs network.nat_gateway, so that the gateway can accept its address."
  }

  # While its revision is replaced, the page runs twice
  validation {
    condition     = var.auditor_page == null || 4 * var.app_scale.max_replicas + 14 <= lookup({ 25 = 570, 26 = 250, 27 = 90 }, var.network.environment_prefix_length, 0)
    error_message = "The subnet of the environment is too small for the auditor's page beside app_scale.max_replicas: a lower prefix length, or fewer replicas."
  }

  validation {
    condition     = var.auditor_page == null || var.edge != null || !startswith(var.gateway_sku, "PremiumV2_")
    error_message = "The auditor's page has no name for a PremiumV2 gateway, whose DNS record is yours: it needs an edge."
  }
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
  description = "Kind of database: serverless or autoscale (Cosmos DB accounts with request units), or vcore (clusters of Azure DocumentDB, without passwords)."
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

variable "edge" {
  type = object({
    kind             = string
    host_name        = optional(string)
    certificate_name = optional(string)
    private_link     = optional(bool, false)
    capacity         = optional(object({ min = number, max = number }), { min = 2, max = 10 })
    disabled_rules   = optional(map(list(string)), {})
  })
  description = "A web application firewall that clients call instead of the gateway; null: none. kind: front_door, or application_gateway with a certificate in the vault for host_name. private_link: Front Door reaches the gateway by Private Link. capacity: units of an Application Gateway. disabled_rules: rules of the managed rule set that are off, by rule group."
  default     = null

  validation {
    condition     = var.edge == null || try(contains(["front_door", "application_gateway"], var.edge.kind), false)
    error_message = "The kind of edge must be front_door or application_gateway."
  }

  validation {
    condition     = try(var.edge.kind, "") != "application_gateway" || try(length(var.edge.host_name) > 0 && can(regex("^[0-9A-Za-z-]{1,127}$", var.edge.certificate_name)), false)
    error_message = "An Application Gateway needs edge.host_name and edge.certificate_name, the name of its certificate in the vault."
  }

  validation {
    condition     = try(var.edge.host_name, null) == null || can(regex("^([a-z0-9-]+\\.)+[a-z]{2,}$", var.edge.host_name))
    error_message = "edge.host_name must be a host name in lower case."
  }

  validation {
    condition     = try(var.edge.kind, "") != "application_gateway" || length(var.additional_regions) == 0
    error_message = "An Application Gateway is in one region: additional_regions need the edge front_door."
  }

  validation {
    condition     = try(var.edge.kind, "") != "application_gateway" || try(var.existing.networks["primary"].virtual_network_id, null) == null || try(var.existing.networks["primary"].subnet_ids.edge, null) != null
    error_message = "An Application Gateway in an existing virtual network needs the subnet edge in existing.networks."
  }

  validation {
    condition     = try(var.edge.kind, "") != "application_gateway" || can(cidrsubnet(var.network.address_space, 27 - tonumber(split("/", var.network.address_space)[1]), pow(2, 27 - var.network.environment_prefix_length) + 3))
    error_message = "With an Application Gateway, network.address_space must have room for the subnet of the environment and four /27."
  }

  # https://learn.microsoft.com/azure/api-management/private-endpoint
  validation {
    condition     = !try(var.edge.private_link, false) || (try(var.edge.kind, "") == "front_door" && startswith(var.gateway_sku, "StandardV2_"))
    error_message = "edge.private_link needs the edge front_door and a StandardV2 gateway: a gateway in a virtual network has no private endpoint."
  }

  validation {
    condition     = try(var.edge.kind, "") != "front_door" || !startswith(var.gateway_sku, "PremiumV2_")
    error_message = "Front Door cannot reach a PremiumV2 gateway, which is in the virtual network only: use the edge application_gateway."
  }

  validation {
    condition     = try(var.edge.kind, "") != "application_gateway" || !startswith(var.gateway_sku, "StandardV2_")
    error_message = "An Application Gateway needs a gateway in the virtual network, which a StandardV2 gateway is not: use the edge front_door."
  }

  validation {
    condition     = var.edge == null || try(var.edge.capacity.min >= 0 && var.edge.capacity.max >= max(2, var.edge.capacity.min) && var.edge.capacity.max <= 20, false)
    error_message = "The units of an Application Gateway must be between 0 and 20, for which its subnet has addresses, and at least 2 at most."
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

  validation {
    condition     = !strcontains(var.gateway_sku, "V2_") || !try(var.entra.replaces_keys, false)
    error_message = "The v2 tiers have no quota for each application (quota-by-key), which tokens instead of keys need."
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

variable "existing" {
  type = object({
    networks = optional(map(object({
      virtual_network_id = optional(string)
      subnet_ids = optional(object({
        environment = string
        gateway     = string
        endpoints   = string
        edge        = optional(string)
        runner      = optional(string)
      }))
      private_dns_zone_ids = optional(map(string))
    })), {})
    resolver_network_ids = optional(list(string), [])
    workspace_id         = optional(string)
    vault_id             = optional(string)
    registry_id          = optional(string)
  })
  description = "What is there already and is used instead of new resources, by ids. networks, by region (primary, or a code of additional_regions): a virtual network with its subnets, and private DNS zones by what they are for (database, registry, vault, …), where {} means that a policy registers the endpoints. resolver_network_ids: other virtual networks that resolve the names of the apps, as a hub with DNS servers. The workspace, the vault and the registry."
  nullable    = false
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.existing.networks), concat(["primary"], keys(var.additional_regions)))) == 0
    error_message = "A region of existing.networks must be primary or a code of additional_regions."
  }

  validation {
    condition     = alltrue([for network in var.existing.networks : (network.virtual_network_id == null) == (network.subnet_ids == null)])
    error_message = "An existing virtual network and its subnets must be given together."
  }

  validation {
    condition = alltrue(flatten([
      for network in var.existing.networks : [
        for id in values(coalesce(network.subnet_ids, {})) : startswith(id, "${network.virtual_network_id}/subnets/") if id != null
      ] if network.virtual_network_id != null
    ]))
    error_message = "Existing subnets must be in the existing virtual network of their region."
  }

  validation {
    condition = alltrue([
      for network in var.existing.networks : network.virtual_network_id == null || !(var.network.nat_gateway || var.network.runner || var.network.ddos_protection_plan)
    ])
    error_message = "An existing virtual network has its own outbound connectivity, runner and DDoS protection: nat_gateway, runner and ddos_protection_plan of network must be false."
  }

  validation {
    condition = alltrue(flatten([
      [for network in var.existing.networks : can(regex("^/subscriptions/[0-9a-f-]{36}/resourceGroups/[^/]+/providers/Microsoft.Network/virtualNetworks/[^/]+$", network.virtual_network_id)) if network.virtual_network_id != null],
      [for id in var.existing.resolver_network_ids : can(regex("^/subscriptions/[0-9a-f-]{36}/resourceGroups/[^/]+/providers/Microsoft.Network/virtualNetworks/[^/]+$", id))],
      [for network in var.existing.networks : [for id in values(coalesce(network.private_dns_zone_ids, {})) : can(regex("^/subscriptions/[0-9a-f-]{36}/resourceGroups/[^/]+/providers/Microsoft.Network/privateDnsZones/[^/]+$", id))]],
    ]))
    error_message = "Existing virtual networks and private DNS zones must be ids of Resource Manager."
  }

  validation {
    condition = alltrue([
      for type, id in {
        "Microsoft.OperationalInsights/workspaces" = var.existing.workspace_id
        "Microsoft.KeyVault/vaults"                = var.existing.vault_id
        "Microsoft.ContainerRegistry/registries"   = var.existing.registry_id
      } : id == null || can(regex("^/subscriptions/[0-9a-f-]{36}/resourceGroups/[^/]+/providers/${type}/[^/]+$", id))
    ])
    error_message = "An existing workspace, vault or registry must be an id of Resource Manager of its type."
  }
}

variable "gateway_public_access" {
  type        = bool
  description = "Whether clients in client_ip_ranges can also call a StandardV2 gateway from the internet, besides its private endpoint. API Management refuses false at its creation: turn it off afterwards."
  nullable    = false
  default     = true

  validation {
    condition     = var.gateway_public_access || startswith(var.gateway_sku, "StandardV2_")
    error_message = "Only a StandardV2 gateway can be without public access; a PremiumV2 gateway is in the virtual network only."
  }
}

variable "gateway_sku" {
  type        = string
  description = "Tier and units of API Management: Developer_1, Premium_<units>, StandardV2_<units> or PremiumV2_<units>. docs/azure.md compares them."
  nullable    = false
  default     = "Developer_1"

  validation {
    condition     = can(regex("^(Developer_1|Premium_[1-9][0-9]?|StandardV2_([1-9]|10)|PremiumV2_([1-9]|[12][0-9]|30))$", var.gateway_sku))
    error_message = "A virtual network needs Developer_1, Premium_<units>, StandardV2_<1 to 10 units> or PremiumV2_<1 to 30 units>."
  }

  validation {
    condition     = !strcontains(var.gateway_sku, "V2_") || !var.alerts.availability_test
    error_message = "The availability test cannot reach a v2 tier: StandardV2 has no security rules that would allow its addresses, PremiumV2 no public address."
  }

  validation {
    condition     = !strcontains(var.gateway_sku, "V2_") || !var.network.ddos_protection_plan
    error_message = "A v2 tier has no public address in the virtual network that a DDoS protection plan could protect."
  }

  validation {
    condition     = !startswith(var.gateway_sku, "PremiumV2_") || var.load_test == null
    error_message = "The load test has no name for a PremiumV2 gateway: its DNS record is yours."
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

variable "keys" {
  type = object({
    refresh_seconds       = optional(number, 60)
    grace_seconds         = optional(number, 600)
    rotation_days         = optional(number, 60)
    rotation_schedule     = optional(string, "17 3 * * *")
    gateway_cache_seconds = optional(number, 120)
  })
  description = "Rotation of the keys, and how long they are kept. refresh_seconds: maximum age of the keys that a service caches, in seconds. grace_seconds: how long a superseded key is accepted, in seconds; at least three times refresh_seconds. rotation_days: age at which a key is rotated, in days. rotation_schedule: when rotation runs, as a cron expression in UTC; once a day. gateway_cache_seconds: how long the gateway caches a host key, in seconds; less than half of grace_seconds."
  nullable    = false
  default     = {}

  validation {
    condition     = var.keys.refresh_seconds >= 1 && var.keys.refresh_seconds <= 60
    error_message = "Services must refresh their keys at least once a minute."
  }

  validation {
    condition     = var.keys.grace_seconds >= 3 * var.keys.refresh_seconds && var.keys.grace_seconds <= 31536000
    error_message = "The grace period must be at least three times keys.refresh_seconds."
  }

  validation {
    condition     = var.keys.rotation_days >= 1 && var.keys.rotation_days <= 365
    error_message = "Keys must be rotated at least once a year and at most once a day."
  }

  validation {
    condition     = can(regex("^[0-5]?[0-9] ([01]?[0-9]|2[0-3]) \\* \\* \\*$", var.keys.rotation_schedule))
    error_message = "Rotation must run once a day: \"<minute> <hour> * * *\"."
  }

  validation {
    condition     = var.keys.gateway_cache_seconds >= 1 && var.keys.gateway_cache_seconds < var.keys.grace_seconds / 2
    error_message = "The gateway must refresh its key before half of the grace period of the old key is over."
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
    condition     = var.load_test == null || var.network.nat_gateway
    error_message = "The load test needs network.nat_gateway, so that the gateway can accept its address."
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

variable "logs" {
  type = object({
    level          = optional(string, "info")
    retention_days = optional(number, 90)
    daily_cap_gb   = optional(number, 5)
    sampling_ratio = optional(number, 1)
    private        = optional(bool, false)
  })
  description = "Logs and telemetry. level: log level of the services. retention_days: retention time of logs, in days. daily_cap_gb: daily cap of the logs, in GB, against a bill out of control; -1: none. Once it is reached, nothing is logged until the next day. sampling_ratio: sampling ratio of traces, 0 to 1; metrics count all requests. private: whether telemetry is accepted over private endpoints only (Azure Monitor Private Link Scope). Its DNS zones apply to everything in the virtual network."
  nullable    = false
  default     = {}

  validation {
    condition     = contains(["fatal", "error", "warn", "info", "debug"], var.logs.level)
    error_message = "The log level must be fatal, error, warn, info or debug."
  }

  validation {
    condition     = contains([30, 60, 90, 120, 180, 270, 365, 550, 730], var.logs.retention_days)
    error_message = "Log retention must be 30, 60, 90, 120, 180, 270, 365, 550 or 730 days."
  }

  validation {
    condition     = var.logs.daily_cap_gb == -1 || var.logs.daily_cap_gb >= 0.1
    error_message = "The daily cap must be at least 0.1 GB, or -1 for none."
  }

  validation {
    condition     = var.logs.sampling_ratio >= 0 && var.logs.sampling_ratio <= 1
    error_message = "The sampling ratio must be between 0 and 1."
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

variable "network" {
  type = object({
    address_space             = optional(string, "10.64.0.0/24")
    environment_prefix_length = optional(number, 27)
    nat_gateway               = optional(bool, false)
    runner                    = optional(bool, false)
    ddos_protection_plan      = optional(bool, false)
  })
  description = "The virtual network of each region. address_space: IPv4 range of the virtual network, in CIDR notation; the subnet of the environment and three /27 are used. environment_prefix_length: prefix length of the subnet of the Container Apps environment: 27 for 90 replicas, 26 for 250, 25 for 570. It cannot be changed later. nat_gateway: whether outbound traffic of the environment has a fixed address (NAT gateway). runner: whether to create a subnet for a build runner that deploys from inside the network; needs nat_gateway, its way out. ddos_protection_plan: whether to create a DDoS protection plan. It is billed by the month and covers a hundred addresses."
  nullable    = false
  default     = {}

  validation {
    condition     = can(cidrsubnet(var.network.address_space, 27 - tonumber(split("/", var.network.address_space)[1]), 3))
    error_message = "The address space must be an IPv4 range of /25 or larger."
  }

  # https://learn.microsoft.com/azure/container-apps/custom-virtual-networks
  validation {
    condition     = contains([25, 26, 27], var.network.environment_prefix_length)
    error_message = "The prefix length must be 25, 26 or 27."
  }

  # While a revision is replaced, both apps run twice; ten for the jobs
  validation {
    condition     = 4 * var.app_scale.max_replicas + 10 <= lookup({ 25 = 570, 26 = 250, 27 = 90 }, var.network.environment_prefix_length, 0)
    error_message = "The subnet of the environment is too small for two apps with app_scale.max_replicas while an upgrade runs: a lower prefix length, or fewer replicas."
  }

  validation {
    condition     = can(cidrsubnet(var.network.address_space, 27 - tonumber(split("/", var.network.address_space)[1]), pow(2, 27 - var.network.environment_prefix_length) + 2))
    error_message = "The address space must have room for the subnet of the environment and three /27."
  }

  validation {
    condition     = !var.network.runner || var.network.nat_gateway
    error_message = "A runner needs network.nat_gateway: its subnet has no other way out."
  }
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

variable "register" {
  type = object({
    origin           = optional(string, "audited-patient-api/register")
    query_max_days   = optional(number, 31)
    sequence_minutes = optional(number, 10)
    caller_ranges    = optional(list(string))
  })
  description = "The audit register. origin: name of the audit log in its checkpoints: by convention a URL without its scheme. It must never change. query_max_days: longest range of dates that one query of the audit register may have, in days. sequence_minutes: how often a job adds to the audit log what the replicas of audit left out, and has it witnessed, in minutes. caller_ranges: IPv4 ranges that audit accepts calls from, beside the gateway; null: the subnet of the environment and the addresses of the platform. If others are used, the smoke test prints them."
  nullable    = false
  default     = {}

  validation {
    condition     = can(regex("^[^\\s+]{1,256}$", var.register.origin))
    error_message = "The origin must have 1 to 256 characters, without spaces and without +."
  }

  validation {
    condition     = var.register.query_max_days >= 1 && var.register.query_max_days <= 3660 && floor(var.register.query_max_days) == var.register.query_max_days
    error_message = "The range must be a whole number of days from 1 to 3660."
  }

  validation {
    condition     = contains([5, 10, 15, 20, 30], var.register.sequence_minutes)
    error_message = "The period must be 5, 10, 15, 20 or 30 minutes."
  }

  validation {
    condition     = var.register.caller_ranges == null || try(length(var.register.caller_ranges) > 0 && alltrue([for range in var.register.caller_ranges : can(cidrhost(range, 0)) && !endswith(range, "/0")]), false)
    error_message = "Each entry must be an IPv4 range in CIDR notation, and not the whole internet."
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

variable "runner" {
  type = object({
    repository     = string
    version        = string
    sha256         = string
    ssh_public_key = string
    label          = optional(string, "azure")
    vm_size        = optional(string, "Standard_D2s_v5")
    instances      = optional(number, 1)
    secret_name    = optional(string, "runner-github-token")
  })
  description = "Machines in the first region that run the jobs of a GitHub repository inside the network; null: none. repository: owner/name. version, sha256: version of GitHub's runner, and the SHA-256 of its archive for Linux on x64. ssh_public_key: Azure demands one; it is installed nowhere, since nobody can log in. label: label of the runners, for the variable RUNNER of the repository. vm_size, instances: size and number of the machines. secret_name: secret with a token that may register runners, which is stored by hand. Needs network.runner, or a subnet runner of an existing network."
  default     = null

  validation {
    condition     = var.runner == null || var.network.runner || try(var.existing.networks["primary"].subnet_ids.runner, null) != null
    error_message = "A runner needs network.runner, or a subnet runner of the existing network."
  }

  validation {
    condition     = var.runner == null || try(can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.runner.repository)), false)
    error_message = "The repository of the runner must be owner/name."
  }

  validation {
    condition     = var.runner == null || try(can(regex("^[0-9]+\\.[0-9]+\\.[0-9]+$", var.runner.version)) && can(regex("^[0-9a-f]{64}$", var.runner.sha256)), false)
    error_message = "The runner needs a version such as 2.300.0 and the SHA-256 of its archive, in lower-case hexadecimal digits."
  }

  validation {
    condition     = var.runner == null || try(can(regex("^ssh-(rsa|ed25519) [A-Za-z0-9+/]+={0,2}( [^\n]*)?$", var.runner.ssh_public_key)), false)
    error_message = "The public key of the runner must be of the type ssh-rsa or ssh-ed25519."
  }

  # GitHub's own labels stand for its own machines, or for any runner
  validation {
    condition     = var.runner == null || try(can(regex("^[a-z][a-z0-9-]{0,29}$", var.runner.label)) && !can(regex("^(ubuntu|windows|macos|self-hosted)", var.runner.label)), false)
    error_message = "The label of the runner must have 1 to 30 lower-case letters, digits and hyphens, and must not be one of GitHub's."
  }

  validation {
    condition     = var.runner == null || try(contains(range(0, 11), var.runner.instances) && can(regex("^Standard_[A-Za-z0-9_]+$", var.runner.vm_size)), false)
    error_message = "The runner needs 0 to 10 machines, and a size such as Standard_D2s_v5."
  }

  validation {
    condition     = var.runner == null || try(can(regex("^[A-Za-z0-9-]{1,127}$", var.runner.secret_name)) && !contains(local.secrets, var.runner.secret_name), false)
    error_message = "The secret of the runner must have a name of 1 to 127 letters, digits and hyphens that no key has."
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
    error_message = "Availability zones need a Premium gateway with at least two units, not of a v2 tier, and database_kind autoscale or vcore."
  }
}
