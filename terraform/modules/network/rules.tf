# Security rules of each subnet. Ports required by the platforms:
# https://learn.microsoft.com/azure/api-management/virtual-network-reference
# https://learn.microsoft.com/azure/container-apps/firewall-integration

locals {
  environment = local.prefixes.environment
  gateway     = local.prefixes.gateway
  endpoints   = local.prefixes.endpoints

  # Whether something in the environment calls the gateway. One address, if there is a NAT gateway.
  calls_gateway    = var.load_test_enabled || var.auditor_page_enabled
  egress_addresses = local.calls_gateway ? values(azurerm_public_ip.nat) : []

  # The proxy of the environment listens on 31443, behind its load balancer
  environment_ports = ["443", "31443"]

  # A rule without sources is omitted
  wanted = {
    gateway = [
      { name = "clients", direction = "Inbound", from = var.client_ip_ranges, to = local.gateway, ports = ["443"], protocol = "Tcp", description = "Clients" },
      { name = "availability", direction = "Inbound", from = var.availability_test_enabled ? ["ApplicationInsightsAvailability"] : [], to = local.gateway, ports = ["443"], protocol = "Tcp", description = "The availability test" },
      { name = "from-egress", direction = "Inbound", from = [for address in local.egress_addresses : "${address.ip_address}/32"], to = local.gateway, ports = ["443"], protocol = "Tcp", description = "The auditor's page and the load test" },
      { name = "traffic-manager", direction = "Inbound", from = var.multiple_regions ? ["AzureTrafficManager"] : [], to = local.gateway, ports = ["443"], protocol = "Tcp", description = "Routing between regions" },
      { name = "control-plane", direction = "Inbound", from = ["ApiManagement"], to = local.gateway, ports = ["3443"], protocol = "Tcp", description = "Control plane of API Management" },
      { name = "load-balancer", direction = "Inbound", from = ["AzureLoadBalancer"], to = local.gateway, ports = ["6390"], protocol = "Tcp", description = "Health probes of the platform" },
      { name = "between-units", direction = "Inbound", from = [local.gateway], to = local.gateway, ports = ["6381-6383"], protocol = "Tcp", description = "Cache between units" },
      { name = "limits-between-units", direction = "Inbound", from = [local.gateway], to = local.gateway, ports = ["4290"], protocol = "Udp", description = "Rate limits between units" },
      { name = "to-environment", direction = "Outbound", from = [local.gateway], to = local.environment, ports = local.environment_ports, protocol = "Tcp", description = "The patient service" },
      { name = "to-endpoints", direction = "Outbound", from = [local.gateway], to = local.endpoints, ports = ["443"], protocol = "Tcp", description = "Key Vault" },
      { name = "to-units", direction = "Outbound", from = [local.gateway], to = local.gateway, ports = ["6381-6383"], protocol = "Tcp", description = "Cache between units" },
      { name = "limits-to-units", direction = "Outbound", from = [local.gateway], to = local.gateway, ports = ["4290"], protocol = "Udp", description = "Rate limits between units" },
      { name = "to-entra-id", direction = "Outbound", from = [local.gateway], to = "AzureActiveDirectory", ports = ["443"], protocol = "Tcp", description = "Tokens" },
      { name = "to-storage", direction = "Outbound", from = [local.gateway], to = "Storage", ports = ["443"], protocol = "Tcp", description = "API Management's own storage" },
      { name = "to-sql", direction = "Outbound", from = [local.gateway], to = "Sql", ports = ["1433"], protocol = "Tcp", description = "API Management's own configuration" },
      { name = "to-key-vault", direction = "Outbound", from = [local.gateway], to = "AzureKeyVault", ports = ["443"], protocol = "Tcp", description = "API Management's own certificates" },
      { name = "to-monitor", direction = "Outbound", from = [local.gateway], to = "AzureMonitor", ports = ["443", "1886"], protocol = "Tcp", description = "Logs and metrics" },
      { name = "to-certificate-lists", direction = "Outbound", from = [local.gateway], to = "Internet", ports = ["80"], protocol = "Tcp", description = "Certificate revocation lists, and the Echo API" },
    ]

    environment = [
      { name = "gateway", direction = "Inbound", from = [local.gateway], to = local.environment, ports = local.environment_ports, protocol = "Tcp", description = "API Management" },
      { name = "load-balancer", direction = "Inbound", from = ["AzureLoadBalancer"], to = local.environment, ports = ["30000-32767"], protocol = "Tcp", description = "Health probes of the platform" },
      { name = "within", direction = "Inbound", from = [local.environment], to = local.environment, ports = ["*"], protocol = "*", description = "Traffic within the environment, including from patient to audit" },
      { name = "to-within", direction = "Outbound", from = [local.environment], to = local.environment, ports = ["*"], protocol = "*", description = "Traffic within the environment, including from patient to audit" },
      { name = "to-endpoints", direction = "Outbound", from = [local.environment], to = local.endpoints, ports = ["443", tostring(var.database_port)], protocol = "Tcp", description = "Key Vault, registry and databases" },
      { name = "to-entra-id", direction = "Outbound", from = [local.environment], to = "AzureActiveDirectory", ports = ["443"], protocol = "Tcp", description = "Tokens of the managed identities" },
      { name = "to-monitor", direction = "Outbound", from = [local.environment], to = "AzureMonitor", ports = ["443"], protocol = "Tcp", description = "Logs, metrics and traces" },
      { name = "to-resource-manager", direction = "Outbound", from = [local.environment], to = "AzureResourceManager", ports = ["443"], protocol = "Tcp", description = "Rotation regenerates the keys of Cosmos DB" },
      { name = "to-gateway", direction = "Outbound", from = local.calls_gateway ? [local.environment] : [], to = "Internet", ports = ["443"], protocol = "Tcp", description = "The auditor's page and the load test" },
      { name = "to-platform-images", direction = "Outbound", from = [local.environment], to = "MicrosoftContainerRegistry", ports = ["443"], protocol = "Tcp", description = "Images of the platform" },
      { name = "to-platform-images-cdn", direction = "Outbound", from = [local.environment], to = "AzureFrontDoor.FirstParty", ports = ["443"], protocol = "Tcp", description = "Images of the platform" },
      { name = "to-witnesses", direction = "Outbound", from = var.witnesses_enabled ? [local.environment] : [], to = "Internet", ports = ["443"], protocol = "Tcp", description = "The witnesses of the audit log" },
    ]

    endpoints = [
      { name = "environment", direction = "Inbound", from = [local.environment], to = local.endpoints, ports = ["443", tostring(var.database_port)], protocol = "Tcp", description = "Services and rotation" },
      { name = "gateway", direction = "Inbound", from = [local.gateway], to = local.endpoints, ports = ["443"], protocol = "Tcp", description = "API Management reads its host key" },
      { name = "runner", direction = "Inbound", from = try([local.prefixes.runner], []), to = local.endpoints, ports = ["443"], protocol = "Tcp", description = "The deployer sets secrets and pushes images" },
    ]

    runner = [
      { name = "to-endpoints", direction = "Outbound", from = try([local.prefixes.runner], []), to = local.endpoints, ports = ["443"], protocol = "Tcp", description = "Key Vault and registry" },
      { name = "to-internet", direction = "Outbound", from = try([local.prefixes.runner], []), to = "Internet", ports = ["443"], protocol = "Tcp", description = "Azure's management API, sources and packages" },
    ]
  }

  # Priorities follow the order: 100, 110, 120, …
  rules = {
    for subnet, rules in local.wanted : subnet => [
      for index, rule in rules : merge(rule, { priority = 100 + 10 * index, access = "Allow" })
      if length(rule.from) > 0
    ]
  }

  # Precedes Azure's default rules, which allow all traffic within the virtual network and all outbound traffic
  denials = [
    for direction in ["Inbound", "Outbound"] : {
      name        = "deny-${lower(direction)}"
      description = "Everything else"
      priority    = 4096
      direction   = direction
      access      = "Deny"
      protocol    = "*"
      from        = ["*"]
      to          = "*"
      ports       = ["*"]
    }
  ]
}
