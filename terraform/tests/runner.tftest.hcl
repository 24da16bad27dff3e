# The machines of the build runner: nobody reaches them or logs in, and no secret is in what Azure stores of them.

mock_provider "azurerm" {
  source = "./tests/mocks"
}

variables {
  context = {
    location            = "westeurope"
    resource_group_name = "rg-mock"
    tags                = {}
  }
  names = { scale_set = "vmss-mock" }
  identity = {
    id        = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-mock"
    client_id = "00000000-0000-0000-0000-000000000a07"
  }
  subnet_id = "/subscriptions/00000000-0000-0000-0000-000000000001/resourceGroups/rg-mock/providers/Microsoft.Network/virtualNetworks/vnet-mock/subnets/snet-runner"
  vault_uri = "https://kv-mock.vault.azure.net/"
  runner = {
    repository     = "example/patients"
    version        = "2.300.0"
    sha256         = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    ssh_public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHduRG+U4vce6OxKFvXqpAhiDjhXcwGOGTcHUhjIP/bm"
    label          = "azure"
    vm_size        = "Standard_D2s_v5"
    instances      = 1
    secret_name    = "runner-github-token"
  }
}

run "runner" {
  module {
    source = "./modules/runner"
  }

  assert {
    condition = (
      length(azurerm_linux_virtual_machine_scale_set.main.network_interface) == 1 &&
      length(azurerm_linux_virtual_machine_scale_set.main.network_interface[0].ip_configuration) == 1 &&
      length(azurerm_linux_virtual_machine_scale_set.main.network_interface[0].ip_configuration[0].public_ip_address) == 0 &&
      azurerm_linux_virtual_machine_scale_set.main.network_interface[0].ip_configuration[0].subnet_id == var.subnet_id
    )
    error_message = "The machines have no public address, and are in the subnet of the runner."
  }

  assert {
    condition = (
      azurerm_linux_virtual_machine_scale_set.main.disable_password_authentication &&
      azurerm_linux_virtual_machine_scale_set.main.admin_password == null &&
      !azurerm_linux_virtual_machine_scale_set.main.extension_operations_enabled &&
      [for user in local.cloud_config.users : try("${user.name} ${user.shell}", user)] == ["runner /usr/sbin/nologin"] &&
      contains([for command in local.cloud_config.runcmd : join(" ", command)], "systemctl disable --now ssh.socket ssh.service")
    )
    error_message = "Nobody can log in: the only user is that of the jobs, which has no shell, and there is no SSH."
  }

  assert {
    condition = (
      azurerm_linux_virtual_machine_scale_set.main.encryption_at_host_enabled &&
      azurerm_linux_virtual_machine_scale_set.main.secure_boot_enabled &&
      azurerm_linux_virtual_machine_scale_set.main.vtpm_enabled
    )
    error_message = "Disks are encrypted at the host, and the machines start signed software."
  }

  assert {
    condition     = azurerm_linux_virtual_machine_scale_set.main.upgrade_mode == "Manual"
    error_message = "An apply does not replace the machine that it runs on."
  }

  assert {
    condition     = azurerm_linux_virtual_machine_scale_set.main.identity[0].type == "UserAssigned" && azurerm_linux_virtual_machine_scale_set.main.identity[0].identity_ids == toset([var.identity.id])
    error_message = "The machines have the identity of the runner only."
  }

  assert {
    condition = (
      startswith(base64decode(azurerm_linux_virtual_machine_scale_set.main.custom_data), "#cloud-config\n") &&
      yamldecode(base64decode(azurerm_linux_virtual_machine_scale_set.main.custom_data)) == yamldecode(yamlencode(local.cloud_config)) &&
      length(azurerm_linux_virtual_machine_scale_set.main.custom_data) < 65536
    )
    error_message = "The machines get the configuration, which Azure limits to 64 KiB."
  }

  assert {
    condition     = toset(keys(local.files)) == fileset("./modules/runner/machine", "*")
    error_message = "Every file of the directory is on the machines."
  }

  assert {
    condition = local.settings == {
      CLIENT_ID    = "00000000-0000-0000-0000-000000000a07"
      GITHUB_URL   = "https://api.github.com"
      IDENTITY_URL = "http://169.254.169.254"
      LABEL        = "azure"
      REPOSITORY   = "example/patients"
      SECRET_URL   = "https://kv-mock.vault.azure.net/secrets/runner-github-token"
      SHA256       = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
      VERSION      = "2.300.0"
    }
    error_message = "The settings name the secret and have no other."
  }
}
