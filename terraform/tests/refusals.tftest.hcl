# Values that are refused before any request to Azure.

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
    auditor  = "crmock.azurecr.io/auditor@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }
  secret_values = {
    patient-host-key    = "0000000000000000000000000000000000000000000"
    audit-host-key      = "1111111111111111111111111111111111111111111"
    audit-query-key     = "3333333333333333333333333333333333333333333"
    audit-log-key       = "4444444444444444444444444444444444444444444"
    patient-data-key    = "2222222222222222222222222222222222222222222"
    auditor-session-key = "5555555555555555555555555555555555555555555"
  }
}

run "the_whole_internet" {
  command = plan

  variables {
    register           = { caller_ranges = ["0.0.0.0/0"] }
    client_ip_ranges   = ["0.0.0.0/0"]
    deployer_ip_ranges = ["192.0.0.0/8"]
  }

  expect_failures = [var.register, var.client_ip_ranges, var.deployer_ip_ranges]
}

run "secrets_that_are_short_and_images_by_their_tags" {
  command = plan

  variables {
    images        = { patient = "crmock.azurecr.io/patient:latest", audit = "crmock.azurecr.io/audit:latest", rotation = "crmock.azurecr.io/rotation:latest" }
    secret_values = { patient-host-key = "short", audit-host-key = "short", patient-data-key = "short" }
  }

  expect_failures = [var.images, var.secret_values]
}

run "a_secret_without_a_first_value" {
  command = plan

  variables {
    secret_values = { patient-host-key = "0000000000000000000000000000000000000000000" }
  }

  expect_failures = [var.secret_values]
}

run "a_host_key_kept_for_half_of_its_grace" {
  command = plan

  variables {
    keys = { gateway_cache_seconds = 300 }
  }

  expect_failures = [var.keys]
}

run "a_grace_that_is_over_before_all_know_the_next_key" {
  command = plan

  variables {
    keys = { gateway_cache_seconds = 30, grace_seconds = 120, refresh_seconds = 60, rotation_days = 0, rotation_schedule = "* * * * *" }
  }

  expect_failures = [var.keys]
}

run "what_a_small_gateway_cannot_do" {
  command = plan

  variables {
    additional_regions = { northeurope = { gateway_region = "North Europe", address_space = "10.65.0.0/24" } }
    zone_redundant     = true
  }

  expect_failures = [var.additional_regions, var.zone_redundant]
}

run "regions_on_the_same_addresses" {
  command = plan

  variables {
    additional_regions = { northeurope = { gateway_region = "North Europe", address_space = "10.64.0.0/24" } }
    database_kind      = "autoscale"
    gateway_sku        = "Premium_1"
  }

  expect_failures = [var.additional_regions]
}

run "a_runner_without_a_way_out" {
  command = plan

  variables {
    network = { runner = true }
  }

  expect_failures = [var.network]
}

run "a_runner_without_a_subnet" {
  command = plan

  variables {
    runner = { repository = "example/patients", version = "2.300.0", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", ssh_public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHduRG+U4vce6OxKFvXqpAhiDjhXcwGOGTcHUhjIP/bm" }
  }

  expect_failures = [var.runner]
}

run "a_runner_with_the_version_of_another_archive" {
  command = plan

  variables {
    network = { nat_gateway = true, runner = true }
    runner  = { repository = "example/patients", version = "latest", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", ssh_public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHduRG+U4vce6OxKFvXqpAhiDjhXcwGOGTcHUhjIP/bm" }
  }

  expect_failures = [var.runner]
}

run "a_runner_without_the_digest_of_its_archive" {
  command = plan

  variables {
    network = { nat_gateway = true, runner = true }
    runner  = { repository = "example/patients", version = "2.300.0", sha256 = "none", ssh_public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHduRG+U4vce6OxKFvXqpAhiDjhXcwGOGTcHUhjIP/bm" }
  }

  expect_failures = [var.runner]
}

run "a_runner_of_no_repository" {
  command = plan

  variables {
    network = { nat_gateway = true, runner = true }
    runner  = { repository = "https://github.com/example/patients", version = "2.300.0", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", ssh_public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHduRG+U4vce6OxKFvXqpAhiDjhXcwGOGTcHUhjIP/bm" }
  }

  expect_failures = [var.runner]
}

run "a_runner_that_reads_a_key" {
  command = plan

  variables {
    network = { nat_gateway = true, runner = true }
    runner  = { repository = "example/patients", version = "2.300.0", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", ssh_public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHduRG+U4vce6OxKFvXqpAhiDjhXcwGOGTcHUhjIP/bm", secret_name = "patient-data-key" }
  }

  expect_failures = [var.runner]
}

run "a_runner_with_a_label_of_github" {
  command = plan

  variables {
    network = { nat_gateway = true, runner = true }
    runner  = { repository = "example/patients", version = "2.300.0", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", ssh_public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHduRG+U4vce6OxKFvXqpAhiDjhXcwGOGTcHUhjIP/bm", label = "ubuntu-24-04" }
  }

  expect_failures = [var.runner]
}

run "a_runner_without_a_public_key" {
  command = plan

  variables {
    network = { nat_gateway = true, runner = true }
    runner  = { repository = "example/patients", version = "2.300.0", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", ssh_public_key = "none" }
  }

  expect_failures = [var.runner]
}

run "half_a_machine" {
  command = plan

  variables {
    network = { nat_gateway = true, runner = true }
    runner  = { repository = "example/patients", version = "2.300.0", sha256 = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", ssh_public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHduRG+U4vce6OxKFvXqpAhiDjhXcwGOGTcHUhjIP/bm", instances = 0.5 }
  }

  expect_failures = [var.runner]
}

run "more_replicas_than_addresses" {
  command = plan

  variables {
    app_scale = { min_replicas = 2, max_replicas = 30, concurrent_requests = 50 }
  }

  expect_failures = [var.network]
}

run "an_environment_larger_than_the_network" {
  command = plan

  variables {
    network = { address_space = "10.64.0.0/25", environment_prefix_length = 25 }
  }

  expect_failures = [var.network]
}

run "locks_without_a_fixed_deployer" {
  command = plan

  variables {
    delete_lock_enabled = true
  }

  expect_failures = [var.delete_lock_enabled]
}

run "a_product_that_opens_audit" {
  command = plan

  variables {
    products = { client = { display_name = "Client", calls_per_minute = 1, calls_per_day = 1, apis = ["audit"] } }
  }

  expect_failures = [var.products]
}

run "what_does_not_exist" {
  command = plan

  variables {
    logs          = { level = "loud", retention_days = 7 }
    backup_tier   = "Periodic"
    database_kind = "sql"
    gateway_sku   = "Consumption_0"
    vault_sku     = "free"
  }

  expect_failures = [var.backup_tier, var.database_kind, var.gateway_sku, var.logs, var.vault_sku]
}

run "names_and_networks_of_the_wrong_size" {
  command = plan

  variables {
    network  = { address_space = "10.64.0.0/26" }
    location = "West Europe"
    name     = "patientsandtests"
  }

  expect_failures = [var.network, var.location, var.name]
}

run "names_too_long_together" {
  command = plan

  variables {
    environment = "staged"
    name        = "patients"
  }

  expect_failures = [var.name]
}

run "a_load_test_from_an_unknown_address" {
  command = plan

  variables {
    load_test = { image = "crmock.azurecr.io/k6@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", key_secret_name = "load" }
  }

  expect_failures = [var.load_test]
}

run "a_load_test_of_no_script" {
  command = plan

  variables {
    network   = { nat_gateway = true }
    load_test = { image = "crmock.azurecr.io/k6@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", key_secret_name = "load", script = "lib/client" }
  }

  expect_failures = [var.load_test]
}

run "numbers_that_do_not_go_together" {
  command = plan

  variables {
    alerts                  = { budget = { amount = 0 } }
    logs                    = { daily_cap_gb = 0 }
    app_container           = { cpu = 0.5, memory = "4Gi" }
    app_scale               = { min_replicas = 3, max_replicas = 2, concurrent_requests = 50 }
    database_max_throughput = 1500
    default_region          = "gb"
    deletion_grace_days     = 366
  }

  expect_failures = [var.alerts, var.app_container, var.app_scale, var.database_max_throughput, var.default_region, var.deletion_grace_days, var.logs]
}

run "thresholds_ratios_and_periods_out_of_range" {
  command = plan

  variables {
    alerts   = { thresholds = { failures = -1, p95_ms = 1, refused = 1, throttled = 1 } }
    logs     = { sampling_ratio = 20 }
    register = { query_max_days = 0 }
  }

  expect_failures = [var.alerts, var.logs, var.register]
}

run "addresses_levels_and_intervals_that_do_not_exist" {
  command = plan

  variables {
    alerts   = { emails = ["nobody"] }
    logs     = { level = "loud" }
    register = { sequence_minutes = 7 }
  }

  expect_failures = [var.alerts, var.logs, var.register]
}

run "a_retention_that_log_analytics_does_not_have" {
  command = plan

  variables {
    logs = { retention_days = 31 }
  }

  expect_failures = [var.logs]
}

run "domains_tokens_and_names_without_their_form" {
  command = plan

  variables {
    cors_origins       = ["https://a.example", "https://b.example/"]
    custom_domain      = { host_name = "https://api.example.org", certificate_name = "api" }
    deployer_object_id = "somebody"
    environment        = "production"
    entra              = { tenant_id = "00000000-0000-0000-0000-000000007e4a", audience = "api://patients", client_application_ids = [] }
    publisher          = { name = "", email = "mock@example.org" }
  }

  expect_failures = [var.cors_origins, var.custom_domain, var.deployer_object_id, var.entra, var.environment, var.publisher]
}

run "an_origin_with_a_plus" {
  command = plan

  variables {
    register = { origin = "log+name" }
  }

  expect_failures = [var.register]
}

run "an_upgrade_to_more_than_all" {
  command = plan

  variables {
    upgrade = { live = { primary = { patient = "abc1234", audit = "def5678" } }, percentage = 101 }
  }

  expect_failures = [var.upgrade]
}

run "an_upgrade_of_one_app" {
  command = plan

  variables {
    upgrade = { live = { primary = { patient = "abc1234" } }, percentage = 0 }
  }

  expect_failures = [var.upgrade]
}

run "an_existing_network_of_an_unknown_region" {
  command = plan

  variables {
    existing = { networks = { northeurope = { private_dns_zone_ids = {} } } }
  }

  expect_failures = [var.existing]
}

run "an_existing_network_without_subnets" {
  command = plan

  variables {
    existing = { networks = { primary = { virtual_network_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub" } } }
  }

  expect_failures = [var.existing]
}

run "existing_subnets_of_another_network" {
  command = plan

  variables {
    existing = {
      networks = {
        primary = {
          virtual_network_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub"
          subnet_ids         = { environment = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub/subnets/apps", gateway = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub/subnets/apim", endpoints = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub-2/subnets/endpoints" }
        }
      }
    }
  }

  expect_failures = [var.existing]
}

run "a_nat_gateway_for_an_existing_network" {
  command = plan

  variables {
    network = { nat_gateway = true }
    existing = {
      networks = {
        primary = {
          virtual_network_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub"
          subnet_ids         = { environment = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub/subnets/apps", gateway = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub/subnets/apim", endpoints = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub/subnets/endpoints" }
        }
      }
    }
  }

  expect_failures = [var.existing]
}

run "names_instead_of_ids" {
  command = plan

  variables {
    existing = { networks = { primary = { private_dns_zone_ids = { vault = "privatelink.vaultcore.azure.net" } } } }
  }

  expect_failures = [var.existing]
}

run "a_vault_that_is_no_vault" {
  command = plan

  variables {
    existing = { vault_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.ContainerRegistry/registries/crhub" }
  }

  expect_failures = [var.existing]
}

run "an_edge_of_another_kind" {
  command = plan


  variables {
    edge = { kind = "nginx" }
  }

  expect_failures = [var.edge]
}

run "an_application_gateway_without_a_name" {
  command = plan


  variables {
    edge = { kind = "application_gateway", certificate_name = "api" }
  }

  expect_failures = [var.edge]
}

run "a_host_name_with_a_path" {
  command = plan


  variables {
    edge = { kind = "front_door", host_name = "api.example.org/v1" }
  }

  expect_failures = [var.edge]
}

run "private_link_to_a_gateway_in_a_network" {
  command = plan


  variables {
    edge = { kind = "front_door", private_link = true }
  }

  expect_failures = [var.edge]
}

run "more_units_than_addresses" {
  command = plan


  variables {
    edge = { kind = "application_gateway", host_name = "api.example.org", certificate_name = "api", capacity = { min = 2, max = 40 } }
  }

  expect_failures = [var.edge]
}

run "an_application_gateway_for_two_regions" {
  command = plan


  variables {
    edge               = { kind = "application_gateway", host_name = "api.example.org", certificate_name = "api" }
    additional_regions = { northeurope = { gateway_region = "North Europe", address_space = "10.65.0.0/24" } }
    database_kind      = "autoscale"
    gateway_sku        = "Premium_1"
  }

  expect_failures = [var.edge]
}

run "an_application_gateway_without_a_subnet" {
  command = plan


  variables {
    edge = { kind = "application_gateway", host_name = "api.example.org", certificate_name = "api" }
    existing = {
      networks = {
        primary = {
          virtual_network_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub"
          subnet_ids         = { environment = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub/subnets/apps", gateway = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub/subnets/apim", endpoints = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-hub/providers/Microsoft.Network/virtualNetworks/vnet-hub/subnets/endpoints" }
        }
      }
    }
  }

  expect_failures = [var.edge]
}

run "a_network_without_room_for_an_application_gateway" {
  command = plan


  variables {
    network = { address_space = "10.64.0.0/25" }
    edge    = { kind = "application_gateway", host_name = "api.example.org", certificate_name = "api" }
  }

  expect_failures = [var.edge]
}

run "regions_zones_and_tokens_alone_with_a_v2_tier" {
  command = plan

  variables {
    gateway_sku        = "StandardV2_1"
    database_kind      = "autoscale"
    zone_redundant     = true
    additional_regions = { northeurope = { gateway_region = "North Europe", address_space = "10.65.0.0/24" } }
    entra              = { tenant_id = "00000000-0000-0000-0000-000000007e4a", audience = "api://patients", client_application_ids = ["00000000-0000-0000-0000-00000000c11f"], replaces_keys = true }
  }

  expect_failures = [var.additional_regions, var.entra, var.zone_redundant]
}

run "an_availability_test_of_a_v2_tier" {
  command = plan

  variables {
    gateway_sku = "StandardV2_1"
    alerts      = { availability_test = true }
  }

  expect_failures = [var.gateway_sku]
}

run "ddos_protection_of_a_v2_tier" {
  command = plan

  variables {
    gateway_sku = "PremiumV2_1"
    network     = { ddos_protection_plan = true }
  }

  expect_failures = [var.gateway_sku]
}

run "a_gateway_without_public_access_in_another_tier" {
  command = plan

  variables {
    gateway_public_access = false
  }

  expect_failures = [var.gateway_public_access]
}

run "a_load_test_of_premium_v2" {
  command = plan

  variables {
    gateway_sku = "PremiumV2_1"
    network     = { nat_gateway = true }
    load_test   = { image = "crmock.azurecr.io/k6@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", key_secret_name = "load-test-subscription-key" }
  }

  expect_failures = [var.gateway_sku]
}

run "too_many_units" {
  command = plan

  variables {
    gateway_sku = "StandardV2_11"
  }

  expect_failures = [var.gateway_sku]
}

run "front_door_without_a_way_to_the_gateway" {
  command = plan

  variables {
    edge        = { kind = "front_door" }
    gateway_sku = "PremiumV2_1"
  }

  expect_failures = [var.edge]
}

run "an_application_gateway_without_a_way_to_the_gateway" {
  command = plan

  variables {
    edge        = { kind = "application_gateway", host_name = "api.example.org", certificate_name = "api" }
    gateway_sku = "StandardV2_1"
  }

  expect_failures = [var.edge]
}

run "a_page_of_auditors_without_what_it_needs" {
  command = plan

  variables {
    auditor_page = { min_replicas = 0 }
    images = {
      patient  = "crmock.azurecr.io/patient@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
      audit    = "crmock.azurecr.io/audit@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
      rotation = "crmock.azurecr.io/rotation@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    }
    network = { nat_gateway = true }
  }

  expect_failures = [var.auditor_page]
}

run "a_page_of_auditors_without_its_key" {
  command = plan

  variables {
    auditor_page = { min_replicas = 0 }
    network      = { nat_gateway = true }
    secret_values = {
      patient-host-key = "0000000000000000000000000000000000000000000"
      audit-host-key   = "1111111111111111111111111111111111111111111"
      audit-query-key  = "3333333333333333333333333333333333333333333"
      audit-log-key    = "4444444444444444444444444444444444444444444"
      patient-data-key = "2222222222222222222222222222222222222222222"
    }
  }

  expect_failures = [var.auditor_page]
}

run "a_page_of_auditors_from_an_unknown_address" {
  command = plan

  variables {
    auditor_page = { min_replicas = 0 }
  }

  expect_failures = [var.auditor_page]
}

run "a_page_of_auditors_with_too_many_replicas" {
  command = plan

  variables {
    auditor_page = { min_replicas = 2 }
    network      = { nat_gateway = true }
  }

  expect_failures = [var.auditor_page]
}

run "a_page_of_auditors_without_room" {
  command = plan

  variables {
    app_scale    = { min_replicas = 0, max_replicas = 20, concurrent_requests = 50 }
    auditor_page = { min_replicas = 0 }
    network      = { nat_gateway = true }
  }

  expect_failures = [var.auditor_page]
}

run "hours_that_are_no_times" {
  command = plan

  variables {
    review = { usual_hours = "6-22" }
  }

  expect_failures = [var.review]
}

run "a_time_zone_of_an_offset" {
  command = plan

  variables {
    review = { time_zone = "+01:00" }
  }

  expect_failures = [var.review]
}

run "a_page_of_auditors_without_a_name_of_the_gateway" {
  command = plan

  variables {
    auditor_page = { min_replicas = 0 }
    gateway_sku  = "PremiumV2_1"
    network      = { nat_gateway = true }
  }

  expect_failures = [var.auditor_page]
}
