# Settings of each process. None is a secret: settings name the vault and the identity that reads it.

locals {
  vault_settings = {
    for name in ["audit", "patient", "rotation"] : name => {
      KEY_VAULT_URI       = module.vault.uri
      AZURE_CLIENT_ID     = module.identity.client_ids[name]
      KEY_REFRESH_SECONDS = tostring(var.keys.refresh_seconds)
    }
  }

  service_settings = {
    for name in ["audit", "patient"] : name => merge(local.vault_settings[name], {
      DATABASE_NAME            = name
      KEY_ROTATION_DAYS        = tostring(var.keys.rotation_days)
      LOG_LEVEL                = var.logs.level
      TELEMETRY_AUTHENTICATION = "identity"
      TELEMETRY_SAMPLING       = tostring(var.logs.sampling_ratio)
      # Not a secret: Application Insights accepts telemetry from the identity only
      APPLICATIONINSIGHTS_CONNECTION_STRING = nonsensitive(module.monitor.connection_string)
    })
  }

  # Addresses reserved by Container Apps: audit sees calls between apps come from them or from the subnet, as the platform
  # decides (microsoft/azure-container-apps#1416), so both are accepted; the host key tells the apps apart.
  # https://learn.microsoft.com/azure/container-apps/custom-virtual-networks
  platform_ranges = ["100.100.0.0/16"]

  audit_callers = {
    for region in keys(local.regions) : region => concat(
      var.register.caller_ranges == null ? concat([module.network[region].subnet_prefixes["environment"]], local.platform_ranges) : var.register.caller_ranges,
      [module.network[region].subnet_prefixes["gateway"]],
    )
  }

  apps = {
    for region in keys(local.regions) : region => {
      patient = {
        image            = var.images.patient
        identity_id      = module.identity.ids["patient"]
        external_enabled = true
        allowed_ranges   = [module.network[region].subnet_prefixes["gateway"]]
        container        = var.app_container
        settings = merge(local.service_settings["patient"], {
          ALLOWED_CALLERS     = module.network[region].subnet_prefixes["gateway"]
          DEFAULT_REGION      = var.default_region
          DELETION_GRACE_DAYS = tostring(var.deletion_grace_days)
        })
      }
      audit = {
        image       = var.images.audit
        identity_id = module.identity.ids["audit"]
        # API Management reaches apps with external ingress only, which is inside of the virtual network
        external_enabled = true
        # The service refuses other callers itself, and logs them
        allowed_ranges = distinct(concat(local.audit_callers[region], local.platform_ranges))
        container      = var.app_container
        settings = merge(local.service_settings["audit"], {
          ALLOWED_CALLERS = join(",", local.audit_callers[region])
          LOG_ORIGIN      = var.register.origin
          QUERY_MAX_DAYS  = tostring(var.register.query_max_days)
          WITNESSES       = join(" ", [for witness in var.witnesses : "${witness.key} ${witness.url}"])
        })
      }
    }
  }

  # Every key that rotation can rotate: those whose secret it may change
  rotated = [for opening in values(local.access) : opening.secret if opening.identity == "rotation"]

  rotation_arguments = {
    # Keys that are due
    rotation = concat(var.database_kind == "vcore" ? local.rotated : ["--all"], ["--older-than", tostring(var.keys.rotation_days)])
    # By hand: all keys, without failing a request
    rotation-now = var.database_kind == "vcore" ? local.rotated : ["--all"]
    # By hand: all keys, revoked immediately
    rotation-leaked = concat(var.database_kind == "vcore" ? local.rotated : ["--all"], ["--leaked"])
  }

  jobs = merge(
    {
      for name, arguments in local.rotation_arguments : name => {
        image              = var.images.rotation
        identity_id        = module.identity.ids["rotation"]
        schedule           = name == "rotation" ? var.keys.rotation_schedule : null
        timeout_in_seconds = 3600
        # The next run completes an interrupted rotation
        retries   = 1
        args      = arguments
        container = { cpu = 0.25, memory = "0.5Gi" }
        secrets   = {}
        settings = merge(local.vault_settings["rotation"], { KEY_GRACE_SECONDS = tostring(var.keys.grace_seconds) }, {
          for service, id in module.data.account_ids : "${upper(service)}_COSMOS_ACCOUNT" => id if var.database_kind != "vcore"
        })
      }
    },
    {
      # Adds to the log what replicas of audit left out, and has it witnessed: also while audit is scaled to zero
      audit-sequence = {
        image              = var.images.audit
        identity_id        = module.identity.ids["audit"]
        schedule           = "*/${var.register.sequence_minutes} * * * *"
        timeout_in_seconds = 600
        # The next run does it
        retries   = 0
        args      = ["/app/sequence-job.mjs"]
        container = { cpu = 0.25, memory = "0.5Gi" }
        secrets   = {}
        settings  = local.apps["primary"].audit.settings
      }
    },
    var.load_test == null ? {} : {
      load-test = {
        image              = var.load_test.image
        identity_id        = module.identity.ids["load-test"]
        schedule           = null
        timeout_in_seconds = 3600
        retries            = 0
        args               = ["run", "/k6/${var.load_test.script}.ts"]
        container          = { cpu = 2, memory = "4Gi" }
        secrets            = { SUBSCRIPTION_KEY = "${module.vault.uri}secrets/${var.load_test.key_secret_name}" }
        # k6 can reach the gateway only
        settings = { BASE_URL = local.url, K6_NO_USAGE_REPORT = "true", K6_AUTO_EXTENSION_RESOLUTION = "false" }
      }
    },
  )

  # Secrets that are stored in the vault by hand, and the identities that read them
  foreign_secrets = tomap(merge(
    var.load_test == null ? {} : { "load-test/${var.load_test.key_secret_name}" = { identity = "load-test", secret = var.load_test.key_secret_name } },
    local.edge_kind != "application_gateway" ? {} : { "edge/${var.edge.certificate_name}" = { identity = "edge", secret = var.edge.certificate_name } },
  ))

  patient_urls = { for region, apps in module.apps : region => "${apps.urls["patient"]}/patient" }
  audit_urls   = { for region, apps in module.apps : region => apps.urls["audit"] }

  named_values = {
    key-vault-uri              = trimsuffix(module.vault.uri, "/")
    host-key-cache-seconds     = tostring(var.keys.gateway_cache_seconds)
    gateway-identity-client-id = module.identity.client_ids["gateway"]
  }
}
