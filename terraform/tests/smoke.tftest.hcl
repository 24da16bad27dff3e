mock_provider "azurerm" {
  source = "./tests/mocks"
}
variables {
  environment = "test"
  publisher   = { name = "Mock", email = "mock@example.org" }
  images = {
    patient  = "crmock.azurecr.io/patient@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    audit    = "crmock.azurecr.io/audit@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    rotation = "crmock.azurecr.io/rotation@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }
  secret_values = {
    patient-host-key = "0000000000000000000000000000000000000000000"
    audit-host-key   = "1111111111111111111111111111111111111111111"
    patient-data-key = "2222222222222222222222222222222222222222222"
  }
}
run "apply" {
  assert {
    condition     = module.gateway.name != ""
    error_message = "x"
  }
}
