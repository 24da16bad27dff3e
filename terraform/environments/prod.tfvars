# Survives the loss of an availability zone and an accidental deletion. For the cost, see docs/azure.md.
environment   = "prod"
location      = "westeurope"
address_space = "10.80.0.0/24"

publisher = {
  name  = "Audited patient API"
  email = "operators@example.org"
}

client_ip_ranges = []

gateway_sku    = "Premium_2"
zone_redundant = true

database_kind           = "autoscale"
database_max_throughput = 4000
backup_tier             = "Continuous30Days"
delete_lock_enabled     = true
vault_sku               = "premium"

# 250 replicas; cannot be changed later
environment_prefix_length = 26

# No request waits for a cold start
app_scale = {
  min_replicas        = 2
  max_replicas        = 30
  concurrent_requests = 50
}

nat_gateway_enabled       = true
availability_test_enabled = true
alert_emails              = ["operators@example.org"]
log_retention_days        = 365
log_daily_cap_gb          = 50
telemetry_sampling        = 0.2

budget = { amount = 9000 }
