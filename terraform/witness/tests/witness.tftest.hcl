# The witness, applied to a mocked provider.

mock_provider "azurerm" {
  source = "../tests/mocks"
}

variables {
  alert_emails   = ["operators@witness.example"]
  allowed_ranges = ["192.0.2.7/32"]
  image          = "crmock.azurecr.io/witness@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  logs           = ["audited-patient-api/register+7f0ad1f2+AUeHGaSzZpb15qIHJHqkBNds57TlPx+tZlYHGARqBbgr"]
  registry       = { id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.ContainerRegistry/registries/crmock", server = "crmock.azurecr.io" }
  witness_key    = "1111111111111111111111111111111111111111111"
  witness_name   = "witness.example/w1"
}

run "defaults" {
  assert {
    condition     = azurerm_storage_container_immutability_policy.checkpoints.locked && azurerm_storage_container_immutability_policy.checkpoints.immutability_period_in_days == 3650 && azurerm_storage_container_immutability_policy.checkpoints.storage_container_resource_manager_id == azurerm_storage_container.main["checkpoints"].id
    error_message = "Checkpoints cannot be changed for ten years."
  }

  assert {
    condition     = !azurerm_storage_account.main.shared_access_key_enabled && !azurerm_storage_account.main.public_network_access_enabled && azurerm_storage_account.main.network_rules[0].default_action == "Deny" && !azurerm_storage_account.main.allow_nested_items_to_be_public && azurerm_storage_account.main.blob_properties[0].versioning_enabled
    error_message = "The storage account is closed to everybody but the identities with a role, and keeps versions."
  }

  assert {
    condition     = azurerm_key_vault_secret.main.name == "witness-key" && azurerm_key_vault_secret.main.value == null && azurerm_key_vault_secret.main.value_wo == null && !azurerm_key_vault.main.public_network_access_enabled && azurerm_key_vault.main.purge_protection_enabled
    error_message = "The vault holds the key, and the state does not."
  }

  assert {
    condition = toset([
      for role in concat([azurerm_role_assignment.secret, azurerm_role_assignment.pull, azurerm_role_assignment.publisher], values(azurerm_role_assignment.container)) : "${role.role_definition_name} ${role.principal_id == azurerm_user_assigned_identity.main.principal_id}"
    ]) == toset(["Key Vault Secrets User true", "AcrPull true", "Monitoring Metrics Publisher true", "Storage Blob Data Contributor true"]) && azurerm_role_assignment.secret.scope == "${azurerm_key_vault.main.id}/secrets/witness-key"
    error_message = "The identity reads one secret, and writes to its containers."
  }

  assert {
    condition     = alltrue([for name, assignment in azurerm_role_assignment.container : assignment.scope == azurerm_storage_container.main[name].id])
    error_message = "The scope of a role is one container."
  }

  assert {
    condition     = tomap({ for setting in azurerm_container_app.main.template[0].container[0].env : setting.name => setting.value })["LOGS"] == var.logs[0] && length(azurerm_container_app.main.secret) == 0 && alltrue([for setting in azurerm_container_app.main.template[0].container[0].env : !strcontains(setting.value, var.witness_name) || setting.name == "WITNESS_NAME"])
    error_message = "The app knows the log, and has no secret in its settings."
  }

  assert {
    condition     = azurerm_container_app.main.ingress[0].external_enabled && !azurerm_container_app.main.ingress[0].allow_insecure_connections && [for rule in azurerm_container_app.main.ingress[0].ip_security_restriction : "${rule.action} ${rule.ip_address_range}"] == ["Allow 192.0.2.7/32"] && azurerm_container_app.main.template[0].min_replicas == 1
    error_message = "The register alone can call the witness, over https, and at any time."
  }

  assert {
    condition     = toset([for log in azurerm_monitor_diagnostic_setting.storage.enabled_log : log.category]) == toset(["StorageWrite", "StorageDelete"]) && endswith(azurerm_monitor_diagnostic_setting.storage.target_resource_id, "/blobServices/default") && toset([for log in azurerm_monitor_diagnostic_setting.vault.enabled_log : log.category]) == toset(["AuditEvent"])
    error_message = "Access to the key and changes of the store are logged."
  }

  assert {
    condition     = azurerm_monitor_scheduled_query_rules_alert_v2.inconsistent.severity == 0 && strcontains(azurerm_monitor_scheduled_query_rules_alert_v2.inconsistent.criteria[0].query, "'witness.inconsistent'")
    error_message = "A log with two histories raises an alert."
  }

  assert {
    condition     = toset(keys(azurerm_private_endpoint.main)) == toset(["blob", "vault"]) && azurerm_management_lock.storage.lock_level == "CanNotDelete"
    error_message = "Vault and store have private endpoints, and the store a lock."
  }
}

run "everybody_can_call" {
  command = plan

  variables {
    allowed_ranges = []
  }

  assert {
    condition     = length(azurerm_container_app.main.ingress[0].ip_security_restriction) == 0 && local.settings.ALLOWED_CALLERS == "0.0.0.0/0,::/0"
    error_message = "A public witness has no list."
  }
}

run "invalid_variables_are_refused" {
  command = plan

  variables {
    image        = "crmock.azurecr.io/witness:latest"
    logs         = ["no key"]
    witness_key  = "short"
    witness_name = "a name"
    first_size   = 0.5
  }

  expect_failures = [var.image, var.logs, var.witness_key, var.witness_name, var.first_size]
}
