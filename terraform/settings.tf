# What each process is told. None of it is a secret: those are in the vault, and the settings say where that is and as whom to open it.

locals {
  vault_settings = {
    for name in ["audit", "patient", "rotation"] : name => {
      KEY_VAULT_URI       = module.vault.uri
      AZURE_CLIENT_ID     = module.identity.client_ids[name]
      KEY_REFRESH_SECONDS = tostring(var.key_refresh_seconds)
    }
  }

  service_settings = {
    for name in ["audit", "patient"] : name => merge(local.vault_settings[name], {
      DATABASE_NAME            = name
      KEY_ROTATION_DAYS        = tostring(var.key_rotation_days)
      LOG_LEVEL                = var.log_level
      TELEMETRY_AUTHENTICATION = "identity"
      TELEMETRY_SAMPLING       = tostring(var.telemetry_sampling)
      # It names Application Insights, which takes telemetry from the identity alone
      APPLICATIONINSIGHTS_CONNECTION_STRING = nonsensitive(module.monitor.connection_string)
    })
  }

  # Addresses that Container Apps keeps for itself: there a call from app to app may seem to come from.
  # https://learn.microsoft.com/azure/container-apps/custom-virtual-networks
  platform_ranges = ["100.100.0.0/16"]

  audit_callers = {
    for region in keys(local.regions) : region => var.audit_caller_ranges == null ? [module.network[region].subnet_prefixes["environment"]] : var.audit_caller_ranges
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
          ALLOWED_CALLERS = module.network[region].subnet_prefixes["gateway"]
        })
      }
      audit = {
        image            = var.images.audit
        identity_id      = module.identity.ids["audit"]
        external_enabled = false
        # Those that the service itself may refuse come as far as to its log
        allowed_ranges = distinct(concat(local.audit_callers[region], local.platform_ranges))
        container      = var.app_container
        settings = merge(local.service_settings["audit"], {
          ALLOWED_CALLERS = join(",", local.audit_callers[region])
        })
      }
    }
  }

  # Every key that the rotation can do: those whose secret it may change
  rotated = [for opening in values(local.access) : opening.secret if opening.identity == "rotation"]

  rotation_arguments = {
    # What is due
    rotation = concat(var.database_kind == "vcore" ? local.rotated : ["--all"], ["--older-than", tostring(var.key_rotation_days)])
    # By hand: everything, with no failed request
    rotation-now = var.database_kind == "vcore" ? local.rotated : ["--all"]
    # By hand: everything, since others know it
    rotation-leaked = concat(var.database_kind == "vcore" ? local.rotated : ["--all"], ["--leaked"])
  }

  jobs = merge(
    {
      for name, arguments in local.rotation_arguments : name => {
        image              = var.images.rotation
        identity_id        = module.identity.ids["rotation"]
        schedule           = name == "rotation" ? var.rotation_schedule : null
        timeout_in_seconds = 3600
        # What was interrupted is finished by the next run
        retries   = 1
        args      = arguments
        container = { cpu = 0.25, memory = "0.5Gi" }
        secrets   = {}
        settings = merge(local.vault_settings["rotation"], { KEY_GRACE_SECONDS = tostring(var.key_grace_seconds) }, {
          for service, id in module.data.account_ids : "${upper(service)}_COSMOS_ACCOUNT" => id if var.database_kind != "vcore"
        })
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
        # k6 may reach the gateway, and nobody else
        settings = { BASE_URL = module.gateway.url, K6_NO_USAGE_REPORT = "true", K6_AUTO_EXTENSION_RESOLUTION = "false" }
      }
    },
  )

  # Secrets that are put into the vault by hand, and who reads them
  foreign_secrets = merge(
    var.custom_domain == null ? {} : { "gateway/${var.custom_domain.certificate_name}" = { identity = "gateway", secret = var.custom_domain.certificate_name } },
    var.load_test == null ? {} : { "load-test/${var.load_test.key_secret_name}" = { identity = "load-test", secret = var.load_test.key_secret_name } },
  )

  patient_urls = { for region, apps in module.apps : region => "${apps.urls["patient"]}/patient" }

  named_values = {
    key-vault-uri              = trimsuffix(module.vault.uri, "/")
    host-key-cache-seconds     = tostring(var.host_key_cache_seconds)
    gateway-identity-client-id = module.identity.client_ids["gateway"]
  }
}
