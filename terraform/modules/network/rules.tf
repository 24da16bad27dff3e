# Security rules of each subnet. Ports required by the platforms:
# https://learn.microsoft.com/azure/api-management/virtual-network-reference
# https://learn.microsoft.com/azure/container-apps/firewall-integration

locals {
  environment = local.prefixes.environment
  gateway     = local.prefixes.gateway
  endpoints   = local.prefixes.endpoints
  edge        = try([local.prefixes.edge], [])

  # What clients call: the subnet of the edge, or of the gateway. Front Door is outside of the network.
  public       = { for subnet in ["gateway", "edge"] : subnet => subnet == (var.edge == "application_gateway" ? "edge" : var.edge == null ? "gateway" : "") }
  edge_callers = var.edge == "front_door" ? ["AzureFrontDoor.Backend"] : local.edge

  # The callers of this subnet
  callers = {
    for subnet, prefix in { gateway = [local.gateway], edge = local.edge } : subnet => [
      { name = "clients", direction = "Inbound", from = local.public[subnet] ? var.callers.ip_ranges : [], to = one(prefix), ports = ["443"], protocol = "Tcp", description = "Clients" },
      { name = "availability", direction = "Inbound", from = local.public[subnet] && var.callers.availability_test ? ["ApplicationInsightsAvailability"] : [], to = one(prefix), ports = ["443"], protocol = "Tcp", description = "The availability test" },
      { name = "from-egress", direction = "Inbound", from = local.public[subnet] ? [for address in local.egress_addresses : "${address.ip_address}/32"] : [], to = one(prefix), ports = ["443"], protocol = "Tcp", description = "The auditor's page and the load test" },
    ]
  }

  # Whether something in the environment calls the gateway. One address, if there is a NAT gateway.
  calls_gateway    = var.callers.load_test || var.callers.auditor_page
  egress_addresses = local.calls_gateway ? values(azurerm_public_ip.nat) : []

  # The proxy of the environment listens on 31443, behind its load balancer
  environment_ports = ["443", "31443"]

  # What the units of a classic tier need. v2 tiers run outside of the subnet, or need a probe on port 80 only.
  # https://learn.microsoft.com/azure/api-management/integrate-vnet-outbound and inject-vnet-v2
  classic_rules = [
    "traffic-manager", "control-plane", "load-balancer", "between-units", "limits-between-units", "to-units",
    "limits-to-units", "to-sql",
  ]
  omitted_rules = {
    StandardV2 = concat(local.classic_rules, ["clients", "availability", "from-egress", "edge"])
    PremiumV2  = concat(local.classic_rules, ["availability", "from-egress"])
  }

  # A rule without sources is omitted
  wanted = {
    gateway = concat(local.callers.gateway, [
      { name = "edge", direction = "Inbound", from = local.edge_callers, to = local.gateway, ports = ["443"], protocol = "Tcp", description = "Front Door or the Application Gateway" },
      { name = "traffic-manager", direction = "Inbound", from = var.callers.traffic_manager ? ["AzureTrafficManager"] : [], to = local.gateway, ports = ["443"], protocol = "Tcp", description = "Routing between regions" },
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
      { name = "probe", direction = "Inbound", from = var.subnets.gateway_tier == "PremiumV2" ? ["AzureLoadBalancer"] : [], to = local.gateway, ports = ["80"], protocol = "Tcp", description = "Health probes of the platform" },
    ])

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
      { name = "to-witnesses", direction = "Outbound", from = var.egress.witnesses ? [local.environment] : [], to = "Internet", ports = ["443"], protocol = "Tcp", description = "The witnesses of the audit log" },
    ]

    endpoints = [
      { name = "environment", direction = "Inbound", from = [local.environment], to = local.endpoints, ports = ["443", tostring(var.database_port)], protocol = "Tcp", description = "Services and rotation" },
      { name = "gateway", direction = "Inbound", from = [local.gateway], to = local.endpoints, ports = ["443"], protocol = "Tcp", description = "API Management reads its host key" },
      { name = "runner", direction = "Inbound", from = try([local.prefixes.runner], []), to = local.endpoints, ports = ["443"], protocol = "Tcp", description = "The deployer sets secrets and pushes images" },
      { name = "edge", direction = "Inbound", from = local.edge, to = local.endpoints, ports = ["443"], protocol = "Tcp", description = "The Application Gateway reads its certificate" },
    ]

    # https://learn.microsoft.com/azure/application-gateway/configuration-infrastructure
    edge = concat(local.callers.edge, [
      { name = "gateway-manager", direction = "Inbound", from = ["GatewayManager"], to = "*", ports = ["65200-65535"], protocol = "Tcp", description = "Control plane of the Application Gateway" },
      { name = "load-balancer", direction = "Inbound", from = ["AzureLoadBalancer"], to = "*", ports = ["*"], protocol = "*", description = "Health probes of the platform" },
    ])

    runner = [
      { name = "to-endpoints", direction = "Outbound", from = try([local.prefixes.runner], []), to = local.endpoints, ports = ["443"], protocol = "Tcp", description = "Key Vault and registry" },
      { name = "to-internet", direction = "Outbound", from = try([local.prefixes.runner], []), to = "Internet", ports = ["443"], protocol = "Tcp", description = "Azure's management API, sources and packages" },
      { name = "to-packages", direction = "Outbound", from = try([local.prefixes.runner], []), to = "Internet", ports = ["80"], protocol = "Tcp", description = "Signed packages of Ubuntu" },
    ]
  }

  # Priorities follow the order: 100, 110, 120, …
  rules = {
    for subnet, rules in local.wanted : subnet => [
      for index, rule in rules : merge(rule, { priority = 100 + 10 * index, access = "Allow" })
      if length(rule.from) > 0 && !(subnet == "gateway" && contains(lookup(local.omitted_rules, var.subnets.gateway_tier, []), rule.name))
    ]
  }

  # Precedes Azure's default rules, which allow all traffic within the virtual network and all outbound traffic
  # An Application Gateway must be able to call everything
  denials = {
    for subnet in local.subnet_order : subnet => [
      for direction in subnet == "edge" ? ["Inbound"] : ["Inbound", "Outbound"] : {
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
}
