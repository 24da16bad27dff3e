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
    audit_caller_ranges = ["0.0.0.0/0"]
    client_ip_ranges    = ["0.0.0.0/0"]
    deployer_ip_ranges  = ["192.0.0.0/8"]
  }

  expect_failures = [var.audit_caller_ranges, var.client_ip_ranges, var.deployer_ip_ranges]
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
    host_key_cache_seconds = 300
  }

  expect_failures = [var.host_key_cache_seconds]
}

run "a_grace_that_is_over_before_all_know_the_next_key" {
  command = plan

  variables {
    host_key_cache_seconds = 30
    key_grace_seconds      = 120
    key_refresh_seconds    = 60
    key_rotation_days      = 0
    rotation_schedule      = "* * * * *"
  }

  expect_failures = [var.key_grace_seconds, var.key_rotation_days, var.rotation_schedule]
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
    runner_enabled = true
  }

  expect_failures = [var.runner_enabled]
}

run "more_replicas_than_addresses" {
  command = plan

  variables {
    app_scale = { min_replicas = 2, max_replicas = 30, concurrent_requests = 50 }
  }

  expect_failures = [var.environment_prefix_length]
}

run "an_environment_larger_than_the_network" {
  command = plan

  variables {
    address_space             = "10.64.0.0/25"
    environment_prefix_length = 25
  }

  expect_failures = [var.environment_prefix_length]
}

run "locks_without_a_fixed_deployer" {
  command = plan

  variables {
    delete_lock_enabled = true
  }

  expect_failures = [var.delete_lock_enabled]
}

run "a_cluster_without_password" {
  command = plan

  variables {
    database_kind = "vcore"
  }

  expect_failures = [var.vcore_passwords]
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
    backup_tier        = "Periodic"
    database_kind      = "sql"
    gateway_sku        = "Consumption_0"
    log_level          = "loud"
    log_retention_days = 7
    vault_sku          = "free"
  }

  expect_failures = [var.backup_tier, var.database_kind, var.gateway_sku, var.log_level, var.log_retention_days, var.vault_sku]
}

run "names_and_networks_of_the_wrong_size" {
  command = plan

  variables {
    address_space = "10.64.0.0/26"
    location      = "West Europe"
    name          = "patientsandtests"
  }

  expect_failures = [var.address_space, var.location, var.name]
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
    load_test           = { image = "crmock.azurecr.io/k6@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", key_secret_name = "load", script = "lib/client" }
    nat_gateway_enabled = true
  }

  expect_failures = [var.load_test]
}

run "numbers_that_do_not_go_together" {
  command = plan

  variables {
    alert_emails            = ["nobody"]
    alert_thresholds        = { failures = -1, p95_ms = 1, refused = 1, throttled = 1 }
    app_container           = { cpu = 0.5, memory = "4Gi" }
    app_scale               = { min_replicas = 3, max_replicas = 2, concurrent_requests = 50 }
    budget                  = { amount = 0 }
    log_daily_cap_gb        = 0
    database_max_throughput = 1500
    telemetry_sampling      = 20
    default_region          = "gb"
    deletion_grace_days     = 366
  }

  expect_failures = [var.alert_emails, var.alert_thresholds, var.app_container, var.app_scale, var.budget, var.database_max_throughput, var.default_region, var.deletion_grace_days, var.log_daily_cap_gb, var.telemetry_sampling]
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

run "an_origin_with_a_plus_and_periods_that_cron_does_not_have" {
  command = plan

  variables {
    log_origin       = "log+name"
    query_max_days   = 0
    sequence_minutes = 7
  }

  expect_failures = [var.log_origin, var.query_max_days, var.sequence_minutes]
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

run "a_page_of_auditors_without_what_it_needs" {
  command = plan

  variables {
    auditor_page = { min_replicas = 0 }
    images = {
      patient  = "crmock.azurecr.io/patient@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
      audit    = "crmock.azurecr.io/audit@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
      rotation = "crmock.azurecr.io/rotation@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    }
    nat_gateway_enabled = true
  }

  expect_failures = [var.auditor_page]
}

run "a_page_of_auditors_without_its_key" {
  command = plan

  variables {
    auditor_page        = { min_replicas = 0 }
    nat_gateway_enabled = true
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
    auditor_page        = { min_replicas = 2 }
    nat_gateway_enabled = true
  }

  expect_failures = [var.auditor_page]
}

run "a_page_of_auditors_without_room" {
  command = plan

  variables {
    app_scale           = { min_replicas = 0, max_replicas = 20, concurrent_requests = 50 }
    auditor_page        = { min_replicas = 0 }
    nat_gateway_enabled = true
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
