# An environment is a file of variables only:
#   terraform test -test-directory=tests/environments -var-file=environments/dev.tfvars

mock_provider "azurerm" {
  source = "./tests/mocks"
}

variables {
  images = {
    patient  = "crmock.azurecr.io/patient@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    audit    = "crmock.azurecr.io/audit@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    rotation = "crmock.azurecr.io/rotation@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    auditor  = "crmock.azurecr.io/auditor@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }
  # The environment with delete locks needs a fixed deployer
  deployer_object_id = "00000000-0000-0000-0000-00000000d001"
  secret_values = {
    patient-host-key    = "0000000000000000000000000000000000000000000"
    audit-host-key      = "1111111111111111111111111111111111111111111"
    audit-query-key     = "3333333333333333333333333333333333333333333"
    audit-log-key       = "4444444444444444444444444444444444444444444"
    patient-data-key    = "2222222222222222222222222222222222222222222"
    auditor-session-key = "5555555555555555555555555555555555555555555"
  }
}

run "whole" {
  assert {
    condition     = alltrue([for name in values(local.names.resource_groups) : startswith(name, "rg-patients-${var.environment}")]) && strcontains(local.names.vault.vault, "-${var.environment}-")
    error_message = "Every name contains the environment."
  }
}
