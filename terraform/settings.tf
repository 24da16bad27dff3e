# Settings of each process. None is a secret: settings name the vault and the identity that reads it.

locals {
  vault_settings = {
    for name in setsubtract(local.services, ["gateway"]) : name => {
      KEY_VAULT_URI       = module.vault.uri
      AZURE_CLIENT_ID     = module.identity.client_ids[name]
      KEY_REFRESH_SECONDS = tostring(var.keys.refresh_seconds)
    }
  }

  service_settings = {
    for name in setsubtract(local.services, ["gateway", "rotation"]) : name => merge(local.vault_settings[name], {
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
    for region in keys(local.regions) : region => merge(local.auditor_apps[region], {
      patient = {
        image            = var.images.patient
        identity_id      = module.identity.ids["patient"]
        external_enabled = true
        allowed_ranges   = [module.network[region].subnet_prefixes["gateway"]]
        container        = var.app_container
        settings = merge(local.service_settings["patient"], {
          ALLOWED_CALLERS     = module.network[region].subnet_prefixes["gateway"]
          DATABASE_NAME       = "patient"
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
          DATABASE_NAME   = "audit"
          LOG_ORIGIN      = var.register.origin
          QUERY_MAX_DAYS  = tostring(var.register.query_max_days)
          TIME_ZONE       = var.review.time_zone
          USUAL_HOURS     = var.review.usual_hours
          WITNESSES       = join(" ", [for witness in var.witnesses : "${witness.key} ${witness.url}"])
        })
      }
    })
  }

  # A client of the gateway, which is also the only caller: it passes on what browsers send to /auditor
  auditor_apps = {
    for region in keys(local.regions) : region => {
      for name in local.has_auditor_page ? ["auditor"] : [] : name => {
        image            = var.images.auditor
        identity_id      = module.identity.ids[name]
        external_enabled = true
        allowed_ranges   = [module.network[region].subnet_prefixes["gateway"]]
        container        = { cpu = 0.25, memory = "0.5Gi" }
        # Few people use it, so a second replica is for the time in which another one starts
        scale = { min_replicas = var.auditor_page.min_replicas, max_replicas = 2, concurrent_requests = var.app_scale.concurrent_requests }
        settings = merge(local.service_settings[name], {
          GATEWAY_URL  = local.url
          WITNESS_KEYS = join(" ", [for witness in var.witnesses : witness.key])
        })
      }
    }
  }

  # Every key that rotation can rotate: those whose secret it may change
  rotated = [for opening in values(local.access) : opening.secret if opening.identity == "rotation"]

  # --all has neither keys that rotation must not change nor the key of the auditor's page
  rotated_names = var.database_kind == "vcore" || local.has_auditor_page ? local.rotated : ["--all"]

  rotation_arguments = {
    # Keys that are due
    rotation = concat(local.rotated_names, ["--older-than", tostring(var.keys.rotation_days)])
    # By hand: all keys, without failing a request
    rotation-now = local.rotated_names
    # By hand: all keys, revoked immediately
    rotation-leaked = concat(local.rotated_names, ["--leaked"])
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
    var.runner == null ? {} : { "runner/${var.runner.secret_name}" = { identity = "runner", secret = var.runner.secret_name } },
  ))

  patient_urls = { for region, apps in module.apps : region => "${apps.urls["patient"]}/patient" }
  audit_urls   = { for region, apps in module.apps : region => apps.urls["audit"] }
  auditor_urls = { for region, apps in module.apps : region => "${apps.urls["auditor"]}/auditor" if local.has_auditor_page }

  named_values = {
    key-vault-uri              = trimsuffix(module.vault.uri, "/")
    host-key-cache-seconds     = tostring(var.keys.gateway_cache_seconds)
    gateway-identity-client-id = module.identity.client_ids["gateway"]
  }
}
