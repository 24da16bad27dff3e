# Cheap at idle: services scale to zero, databases are billed by request, and the gateway is the Developer tier, without an SLA.
environment = "dev"
location    = "westeurope"

publisher = {
  name  = "Audited patient API"
  email = "operators@example.org"
}

# Who may call: the addresses of the clients
client_ip_ranges = []

log_level          = "debug"
log_retention_days = 30
