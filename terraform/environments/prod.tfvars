# Survives the loss of an availability zone and an accidental deletion. For the cost, see docs/azure.md.
environment = "prod"
location    = "westeurope"

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

# No request waits for a cold start
app_scale = {
  min_replicas        = 2
  max_replicas        = 30
  concurrent_requests = 50
}

network = {
  address_space = "10.80.0.0/24"
  # 250 replicas; cannot be changed later
  environment_prefix_length = 26
  nat_gateway               = true
}

alerts = {
  availability_test = true
  emails            = ["operators@example.org"]
  budget            = { amount = 9000 }
}

logs = {
  retention_days = 365
  daily_cap_gb   = 50
  sampling_ratio = 0.2
}
