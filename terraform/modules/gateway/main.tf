# API Management, the only public endpoint, open to the addresses of clients only.

locals {
  tier = split("_", var.sku_name)[0]
  # Developer and Premium, which have an address of their own in the virtual network
  is_classic = !endswith(local.tier, "V2")
}

moved {
  from = azurerm_public_ip.main
  to   = azurerm_public_ip.main["gateway"]
}

resource "azurerm_public_ip" "main" {
  for_each = toset(local.is_classic ? ["gateway"] : [])

  name                = var.names.public_ip
  location            = var.context.location
  resource_group_name = var.context.resource_group_name
  allocation_method   = "Static"
  sku                 = "Standard"
  # API Management requires a domain name label on its address
  domain_name_label = var.names.domain_name_label
  zones             = length(var.zones) == 0 ? null : var.zones
  tags              = var.context.tags
}

resource "azurerm_public_ip" "additional" {
  for_each = { for place in var.additional_locations : place.location => place }

  name                = each.value.public_ip_name
  location            = each.value.location
  resource_group_name = each.value.resource_group
  allocation_method   = "Static"
  sku                 = "Standard"
  domain_name_label   = each.value.domain_name_label
  zones               = length(each.value.zones) == 0 ? null : each.value.zones
  tags                = var.context.tags
}

resource "azurerm_api_management" "main" {
  # checkov:skip=CKV_AZURE_174: for the control plane only, which cannot be created without public access; network rules allow Azure only

  name                = var.names.gateway
  location            = var.context.location
  resource_group_name = var.context.resource_group_name
  publisher_name      = var.publisher.name
  publisher_email     = var.publisher.email
  sku_name            = var.sku_name
  # Zones are not set: API Management then spreads any number of Premium units over the zones of the region itself. With
  # a list of zones, the number of units must be a multiple of it.
  # https://learn.microsoft.com/azure/api-management/enable-availability-zone-support
  min_api_version = "2021-08-01"
  # External: with a v2 tier, the gateway itself stays outside, and only its calls of the services go through the network
  virtual_network_type = local.tier == "PremiumV2" || try(var.edge.kind, "") == "application_gateway" ? "Internal" : "External"
  public_ip_address_id = one([for address in azurerm_public_ip.main : address.id])
  # Without public access, the service refuses to create it (hashicorp/terraform-provider-azurerm#21506, #30296). In a
  # classic tier this is the control plane only, for which network rules allow Azure only.
  public_network_access_enabled = var.public_access_enabled
  tags                          = var.context.tags

  virtual_network_configuration {
    subnet_id = var.network.subnet_id
  }

  identity {
    # The firewall of the vault admits the system-assigned identity only, as a trusted service: it reads the certificate
    # https://learn.microsoft.com/azure/api-management/configure-custom-domain
    type         = var.custom_domain == null ? "UserAssigned" : "SystemAssigned, UserAssigned"
    identity_ids = [var.identity.id]
  }

  dynamic "additional_location" {
    for_each = var.additional_locations

    content {
      location             = additional_location.value.location
      public_ip_address_id = azurerm_public_ip.additional[additional_location.value.location].id

      virtual_network_configuration {
        subnet_id = additional_location.value.subnet_id
      }
    }
  }

  # Bound in a second apply: in the first one, the identity that reads the certificate does not exist yet
  dynamic "hostname_configuration" {
    for_each = try(var.custom_domain.bound, false) ? [var.custom_domain] : []

    content {
      proxy {
        host_name                    = hostname_configuration.value.host_name
        key_vault_certificate_id     = hostname_configuration.value.secret_id
        default_ssl_binding          = true
        negotiate_client_certificate = false
      }
    }
  }

  # The v2 tiers have settings of their own, which cannot be changed: TLS 1.2 or later
  dynamic "protocols" {
    for_each = local.is_classic ? ["http2"] : []

    content {
      http2_enabled = true
    }
  }

  # TLS 1.2 or later, without ciphers that use CBC or lack forward secrecy
  dynamic "security" {
    for_each = local.is_classic ? ["tls"] : []

    content {
      backend_ssl30_enabled  = false
      backend_tls10_enabled  = false
      backend_tls11_enabled  = false
      frontend_ssl30_enabled = false
      frontend_tls10_enabled = false
      frontend_tls11_enabled = false

      tls_ecdhe_ecdsa_with_aes128_cbc_sha_ciphers_enabled = false
      tls_ecdhe_ecdsa_with_aes256_cbc_sha_ciphers_enabled = false
      tls_ecdhe_rsa_with_aes128_cbc_sha_ciphers_enabled   = false
      tls_ecdhe_rsa_with_aes256_cbc_sha_ciphers_enabled   = false
      tls_rsa_with_aes128_cbc_sha256_ciphers_enabled      = false
      tls_rsa_with_aes128_cbc_sha_ciphers_enabled         = false
      tls_rsa_with_aes128_gcm_sha256_ciphers_enabled      = false
      tls_rsa_with_aes256_cbc_sha256_ciphers_enabled      = false
      tls_rsa_with_aes256_cbc_sha_ciphers_enabled         = false
      tls_rsa_with_aes256_gcm_sha384_ciphers_enabled      = false
      triple_des_ciphers_enabled                          = false
    }
  }

  # The v2 tiers have no sign-up
  dynamic "sign_up" {
    for_each = local.is_classic ? ["disabled"] : []

    content {
      enabled = false

      terms_of_service {
        enabled          = false
        consent_required = false
      }
    }
  }
}

resource "azurerm_role_assignment" "certificate" {
  for_each = var.custom_domain == null ? {} : { gateway = var.custom_domain }

  scope                = each.value.scope
  role_definition_name = "Key Vault Secrets User"
  principal_id         = azurerm_api_management.main.identity[0].principal_id
  principal_type       = "ServicePrincipal"
  description          = "gateway: the certificate of ${each.value.host_name}"
}

# Named values: {{name}} in the policies
resource "azurerm_api_management_named_value" "main" {
  for_each = merge(var.named_values, local.backends, local.limits, local.edge_values)

  name                = each.key
  display_name        = each.key
  resource_group_name = var.context.resource_group_name
  api_management_name = azurerm_api_management.main.name
  value               = each.value
  secret              = false
}
