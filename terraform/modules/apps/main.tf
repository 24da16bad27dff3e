# The Container Apps environment of one region, its DNS zone, its apps and its jobs.

resource "azurerm_container_app_environment" "main" {
  name                               = var.names.environment
  location                           = var.context.location
  resource_group_name                = var.context.resource_group_name
  infrastructure_resource_group_name = var.names.infrastructure_resource_group
  infrastructure_subnet_id           = var.subnet_id
  internal_load_balancer_enabled     = true
  public_network_access              = "Disabled"
  # The destination log-analytics is legacy (microsoft/azure-container-apps#1812), and needs a key of the workspace
  logs_destination        = "azure-monitor"
  zone_redundancy_enabled = var.zone_redundant
  # Also encrypts traffic between apps
  mutual_tls_enabled = true
  tags               = var.context.tags

  workload_profile {
    name                  = "Consumption"
    workload_profile_type = "Consumption"
  }
}

# Console logs of a container that ends right at its start can be missing (microsoft/azure-container-apps#699): the system
# logs have its end and its exit code, and there is an alert for it
resource "azurerm_monitor_diagnostic_setting" "main" {
  name                           = "log-analytics"
  target_resource_id             = azurerm_container_app_environment.main.id
  log_analytics_workspace_id     = var.context.workspace_id
  log_analytics_destination_type = "Dedicated"

  enabled_log {
    category = "ContainerAppConsoleLogs"
  }

  enabled_log {
    category = "ContainerAppSystemLogs"
  }
}

# The domain of an internal environment has no public DNS records, so the virtual network needs a private zone
resource "azurerm_private_dns_zone" "main" {
  name                = azurerm_container_app_environment.main.default_domain
  resource_group_name = var.context.resource_group_name
  tags                = var.context.tags
}

resource "azurerm_private_dns_zone_virtual_network_link" "main" {
  name                 = var.names.environment
  private_dns_zone_id  = azurerm_private_dns_zone.main.id
  virtual_network_id   = var.virtual_network_id
  registration_enabled = false
  tags                 = var.context.tags
}

# Where a resolver of a hub answers the virtual network
resource "azurerm_private_dns_zone_virtual_network_link" "resolver" {
  for_each = toset(var.resolver_network_ids)

  name                 = "${split("/", each.key)[4]}-${split("/", each.key)[8]}"
  private_dns_zone_id  = azurerm_private_dns_zone.main.id
  virtual_network_id   = each.key
  registration_enabled = false
  tags                 = var.context.tags
}

resource "azurerm_private_dns_a_record" "main" {
  name                = "*"
  private_dns_zone_id = azurerm_private_dns_zone.main.id
  ttl                 = 300
  records             = [azurerm_container_app_environment.main.static_ip_address]
  tags                = var.context.tags
}

locals {
  # The host name of an app that is not external contains "internal"
  urls = {
    for name, app in var.apps : name => join(".", compact([
      "https://${name}", app.external_enabled ? "" : "internal", azurerm_container_app_environment.main.default_domain
    ]))
  }
}

locals {
  scales = { for name, app in var.apps : name => app.scale == null ? var.scale : app.scale }

  # An app that is not part of the upgrade is replaced
  upgrades = {
    for name in keys(var.apps) : name => {
      live       = try(var.upgrade.live[name], null)
      percentage = can(var.upgrade.live[name]) ? var.upgrade.percentage : 100
    }
  }
}

module "app" {
  source   = "./app"
  for_each = var.apps

  name              = each.key
  image             = each.value.image
  identity_id       = each.value.identity_id
  external_enabled  = each.value.external_enabled
  allowed_ranges    = each.value.allowed_ranges
  container         = each.value.container
  settings          = merge(each.value.settings, each.key == "patient" ? { AUDIT_URL = local.urls["audit"] } : {})
  live_revision     = local.upgrades[each.key].live
  newest_percentage = local.upgrades[each.key].percentage
  scale             = local.scales[each.key]

  context = {
    # The id of the environment, once its logs are kept
    environment_id      = azurerm_monitor_diagnostic_setting.main.target_resource_id
    registry_server     = var.registry_server
    resource_group_name = var.context.resource_group_name
    tags                = var.context.tags
  }
}

resource "azurerm_container_app_job" "main" {
  for_each = var.jobs

  name                         = each.key
  location                     = var.context.location
  resource_group_name          = var.context.resource_group_name
  container_app_environment_id = azurerm_monitor_diagnostic_setting.main.target_resource_id
  workload_profile_name        = "Consumption"
  replica_timeout_in_seconds   = each.value.timeout_in_seconds
  replica_retry_limit          = each.value.retries
  tags                         = var.context.tags

  identity {
    type         = "UserAssigned"
    identity_ids = [each.value.identity_id]
  }

  registry {
    server   = var.registry_server
    identity = each.value.identity_id
  }

  dynamic "schedule_trigger_config" {
    for_each = each.value.schedule == null ? [] : [each.value.schedule]

    content {
      cron_expression          = schedule_trigger_config.value
      parallelism              = 1
      replica_completion_count = 1
    }
  }

  dynamic "manual_trigger_config" {
    for_each = each.value.schedule == null ? ["manual"] : []

    content {
      parallelism              = 1
      replica_completion_count = 1
    }
  }

  dynamic "secret" {
    for_each = each.value.secrets

    content {
      name                = replace(lower(secret.key), "_", "-")
      identity            = each.value.identity_id
      key_vault_secret_id = secret.value
    }
  }

  template {
    container {
      name   = each.key
      image  = each.value.image
      args   = each.value.args
      cpu    = each.value.container.cpu
      memory = each.value.container.memory

      dynamic "env" {
        for_each = each.value.settings

        content {
          name  = env.key
          value = env.value
        }
      }

      dynamic "env" {
        for_each = each.value.secrets

        content {
          name        = env.key
          secret_name = replace(lower(env.key), "_", "-")
        }
      }
    }
  }
}
