# Cheap when idle: services scale to zero, databases are billed by request, and the gateway has the Developer tier,
# without an SLA.
environment = "dev"
location    = "westeurope"

publisher = {
  name  = "Audited patient API"
  email = "operators@example.org"
}

# Addresses of the clients that can call the API
client_ip_ranges = []

logs = {
  level          = "debug"
  retention_days = 30
}
