# All names. Globally unique names end in a hash of the subscription id.

locals {
  system = "${var.name}-${var.environment}"
  suffix = substr(sha256("${data.azurerm_client_config.current.subscription_id}/${local.system}"), 0, 6)

  # Names in the first region have no region code, so adding a region changes none of them
  regional = { for region in keys(local.regions) : region => region == "primary" ? local.system : "${local.system}-${region}" }

  names = {
    resource_groups = { for region, name in local.regional : region => "rg-${name}" }

    network = {
      for region, name in local.regional : region => {
        virtual_network = "vnet-${name}"
        nat_gateway     = "ng-${name}"
        nat_address     = "pip-${name}-egress"
        subnets         = { for subnet in ["environment", "gateway", "endpoints", "runner", "edge"] : subnet => "snet-${subnet}" }
        security_groups = { for subnet in ["environment", "gateway", "endpoints", "runner", "edge"] : subnet => "nsg-${name}-${subnet}" }
      }
    }

    apps = {
      for region, name in local.regional : region => {
        environment                   = "cae-${name}"
        infrastructure_resource_group = "rg-${name}-infrastructure"
      }
    }

    # A custom role, which npm run deploy creates once for each subscription. Names of custom roles are unique in a tenant.
    rotation_role = "Cosmos DB key rotation (${data.azurerm_client_config.current.subscription_id})"

    ddos_protection_plan = "ddos-${local.system}"

    identities = { for identity in local.identities : identity => "id-${local.system}-${identity}" }

    vault = {
      vault              = "kv-${var.name}-${var.environment}-${local.suffix}"
      endpoint           = "pe-${local.system}-vault"
      customer_managed   = "databases"
      lock               = "delete-${local.system}-vault"
      diagnostic_setting = "log-analytics"
    }

    registry = {
      registry           = "cr${var.name}${var.environment}${local.suffix}"
      endpoint           = "pe-${local.system}-registry"
      diagnostic_setting = "log-analytics"
    }

    data = {
      accounts           = { for service in ["patient", "audit"] : service => "cosmos-${local.system}-${service}-${local.suffix}" }
      endpoints          = { for service in ["patient", "audit"] : service => "pe-${local.system}-${service}-db" }
      lock               = "delete-${local.system}-databases"
      diagnostic_setting = "log-analytics"
    }

    monitor = {
      workspace          = "log-${local.system}"
      insights           = "appi-${local.system}"
      action_group       = "ag-${local.system}"
      workbook           = "Patients and their register (${var.environment})"
      budget             = "budget-${local.system}"
      alert              = "alert-${local.system}"
      availability       = "availability-${local.system}"
      endpoint           = "pe-${local.system}-monitor"
      private_link_scope = "ampls-${local.system}"
    }

    runner = {
      scale_set = "vmss-${local.system}-runner"
    }

    edge = {
      front_door          = "afd-${local.system}"
      endpoint            = "${local.system}-${local.suffix}"
      firewall            = "waf${var.name}${var.environment}"
      application_gateway = "agw-${local.system}"
      public_ip           = "pip-${local.system}-edge"
      diagnostic_setting  = "log-analytics"
    }

    gateway = {
      gateway            = "apim-${local.system}-${local.suffix}"
      endpoint           = "pe-${local.system}-gateway"
      public_ip          = "pip-${local.system}-gateway"
      domain_name_label  = "apim-${local.system}-${local.suffix}"
      logger             = "application-insights"
      diagnostic_setting = "log-analytics"
    }
  }
}
