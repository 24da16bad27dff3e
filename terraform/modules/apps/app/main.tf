# One service as a container app.

locals {
  port = 8080
}

resource "azurerm_container_app" "main" {
  name                         = var.name
  resource_group_name          = var.context.resource_group_name
  container_app_environment_id = var.context.environment_id
  workload_profile_name        = "Consumption"
  # While an upgrade runs, two revisions are active
  revision_mode          = var.live_revision == null ? "Single" : "Multiple"
  max_inactive_revisions = 5
  tags                   = var.context.tags

  identity {
    type         = "UserAssigned"
    identity_ids = [var.identity_id]
  }

  registry {
    server   = var.context.registry_server
    identity = var.identity_id
  }

  ingress {
    external_enabled           = var.external_enabled
    allow_insecure_connections = false
    target_port                = local.port
    transport                  = "http"

    # A named revision keeps its traffic when a newer one is created
    # https://learn.microsoft.com/azure/container-apps/blue-green-deployment
    dynamic "traffic_weight" {
      for_each = var.live_revision == null ? [] : [var.live_revision]

      content {
        label           = "live"
        revision_suffix = traffic_weight.value
        percentage      = 100 - var.newest_percentage
      }
    }

    traffic_weight {
      label           = var.live_revision == null ? null : "candidate"
      latest_revision = true
      percentage      = var.newest_percentage
    }

    dynamic "ip_security_restriction" {
      for_each = { for index, range in var.allowed_ranges : format("allowed-%02d", index) => range }

      content {
        name             = ip_security_restriction.key
        action           = "Allow"
        ip_address_range = ip_security_restriction.value
      }
    }
  }

  template {
    min_replicas = var.scale.min_replicas
    max_replicas = var.scale.max_replicas
    # A service stops within 25 s
    termination_grace_period_seconds = 30

    http_scale_rule {
      name                = "requests"
      concurrent_requests = tostring(var.scale.concurrent_requests)
    }

    container {
      name   = var.name
      image  = var.image
      cpu    = var.container.cpu
      memory = var.container.memory

      dynamic "env" {
        for_each = var.settings

        content {
          name  = env.key
          value = env.value
        }
      }

      # Frequent, because a cold start ends with the first success
      startup_probe {
        transport               = "HTTP"
        port                    = local.port
        path                    = "/health/live"
        interval_seconds        = 2
        timeout                 = 1
        failure_count_threshold = 10
      }

      liveness_probe {
        transport               = "HTTP"
        port                    = local.port
        path                    = "/health/live"
        interval_seconds        = 10
        timeout                 = 3
        failure_count_threshold = 3
      }

      readiness_probe {
        transport               = "HTTP"
        port                    = local.port
        path                    = "/health/ready"
        interval_seconds        = 2
        timeout                 = 2
        failure_count_threshold = 3
        success_count_threshold = 1
      }
    }
  }
}
