# The witness as a container app.

resource "azurerm_container_app_environment" "main" {
  name                           = "cae-${var.name}"
  location                       = var.location
  resource_group_name            = azurerm_resource_group.main.name
  infrastructure_subnet_id       = azurerm_subnet.environment.id
  internal_load_balancer_enabled = false
  public_network_access          = "Enabled"
  logs_destination               = "azure-monitor"
  tags                           = local.tags

  workload_profile {
    name                  = "Consumption"
    workload_profile_type = "Consumption"
  }
}

resource "azurerm_role_assignment" "pull" {
  scope                = var.registry.id
  role_definition_name = "AcrPull"
  principal_id         = azurerm_user_assigned_identity.main.principal_id
  principal_type       = "ServicePrincipal"
  description          = "witness: its image"
}

resource "azurerm_container_app" "main" {
  name                         = "witness"
  resource_group_name          = azurerm_resource_group.main.name
  container_app_environment_id = azurerm_container_app_environment.main.id
  workload_profile_name        = "Consumption"
  revision_mode                = "Single"
  max_inactive_revisions       = 5
  tags                         = local.tags

  identity {
    type         = "UserAssigned"
    identity_ids = [azurerm_user_assigned_identity.main.id]
  }

  registry {
    server   = var.registry.server
    identity = azurerm_user_assigned_identity.main.id
  }

  ingress {
    external_enabled           = true
    allow_insecure_connections = false
    target_port                = 8080
    transport                  = "http"

    traffic_weight {
      latest_revision = true
      percentage      = 100
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
    # A replica that starts would delay each checkpoint
    min_replicas                     = 1
    max_replicas                     = 3
    termination_grace_period_seconds = 30

    http_scale_rule {
      name                = "requests"
      concurrent_requests = "50"
    }

    container {
      name   = "witness"
      image  = var.image
      cpu    = 0.25
      memory = "0.5Gi"

      dynamic "env" {
        for_each = local.settings

        content {
          name  = env.key
          value = env.value
        }
      }

      startup_probe {
        transport               = "HTTP"
        port                    = 8080
        path                    = "/health/live"
        interval_seconds        = 2
        timeout                 = 1
        failure_count_threshold = 10
      }

      liveness_probe {
        transport               = "HTTP"
        port                    = 8080
        path                    = "/health/live"
        interval_seconds        = 10
        timeout                 = 3
        failure_count_threshold = 3
      }

      readiness_probe {
        transport               = "HTTP"
        port                    = 8080
        path                    = "/health/ready"
        interval_seconds        = 2
        timeout                 = 2
        failure_count_threshold = 3
        success_count_threshold = 1
      }
    }
  }

  depends_on = [
    azurerm_role_assignment.pull, azurerm_role_assignment.secret, azurerm_role_assignment.container,
    azurerm_private_endpoint.main,
  ]
}

locals {
  # None is a secret
  settings = {
    KEY_VAULT_URI                         = azurerm_key_vault.main.vault_uri
    AZURE_CLIENT_ID                       = azurerm_user_assigned_identity.main.client_id
    ALLOWED_CALLERS                       = length(var.allowed_ranges) == 0 ? "0.0.0.0/0,::/0" : join(",", var.allowed_ranges)
    LOGS                                  = join(" ", var.logs)
    WITNESS_NAME                          = var.witness_name
    STORE_URL                             = "https://${azurerm_storage_account.main.name}.blob.core.windows.net"
    STATE_CONTAINER                       = azurerm_storage_container.main["state"].name
    CHECKPOINT_CONTAINER                  = azurerm_storage_container.main["checkpoints"].name
    TELEMETRY_AUTHENTICATION              = "identity"
    APPLICATIONINSIGHTS_CONNECTION_STRING = nonsensitive(azurerm_application_insights.main.connection_string)
  }
}
