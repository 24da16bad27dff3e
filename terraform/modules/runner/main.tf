# Machines inside the network that run the jobs of one GitHub repository, each job with a runner of its own.

locals {
  # What the scripts read. None is a secret: the token of GitHub is in the vault.
  settings = {
    CLIENT_ID    = var.identity.client_id
    IDENTITY_URL = "http://169.254.169.254"
    GITHUB_URL   = "https://api.github.com"
    LABEL        = var.runner.label
    REPOSITORY   = var.runner.repository
    SECRET_URL   = "${var.vault_uri}secrets/${var.runner.secret_name}"
    SHA256       = var.runner.sha256
    VERSION      = var.runner.version
  }

  # Paths on the machine, by file of the directory machine
  files = {
    "apt.conf"              = "/etc/apt/apt.conf.d/60runner"
    "identity.nft"          = "/etc/runner/identity.nft"
    "install.sh"            = "/usr/local/sbin/runner-install"
    "reboot.sh"             = "/usr/local/sbin/runner-reboot"
    "register.sh"           = "/usr/local/sbin/runner-register"
    "runner-reboot.service" = "/etc/systemd/system/runner-reboot.service"
    "runner-reboot.timer"   = "/etc/systemd/system/runner-reboot.timer"
    "runner.service"        = "/etc/systemd/system/runner.service"
  }

  cloud_config = {
    # Without "default" in this list, the administrator that Azure demands is not created: nobody can log in
    users = [{ name = "runner", system = true, homedir = "/var/lib/runner", no_create_home = true, shell = "/usr/sbin/nologin" }]

    write_files = concat(
      [{ path = "/etc/runner/settings", permissions = "0644", content = join("", [for name, value in local.settings : "${name}='${value}'\n"]) }],
      [for file, place in local.files : {
        path        = place
        permissions = endswith(file, ".sh") ? "0755" : "0644"
        content     = file("${path.module}/machine/${file}")
      }],
    )

    runcmd = [
      ["systemctl", "disable", "--now", "ssh.socket", "ssh.service"],
      ["systemctl", "daemon-reload"],
      ["systemctl", "enable", "--now", "--no-block", "runner.service", "runner-reboot.timer"],
    ]
  }
}

resource "azurerm_linux_virtual_machine_scale_set" "main" {
  name                = var.names.scale_set
  location            = var.context.location
  resource_group_name = var.context.resource_group_name
  tags                = var.context.tags

  sku                  = var.runner.vm_size
  instances            = var.runner.instances
  computer_name_prefix = "runner"
  overprovision        = false
  # Instances are reimaged by hand: an apply that runs on one would end itself
  upgrade_mode = "Manual"

  custom_data = base64encode("#cloud-config\n${yamlencode(local.cloud_config)}")

  admin_username                  = "nobody-logs-in"
  disable_password_authentication = true
  extension_operations_enabled    = false
  encryption_at_host_enabled      = true
  secure_boot_enabled             = true
  vtpm_enabled                    = true

  admin_ssh_key {
    username   = "nobody-logs-in"
    public_key = var.runner.ssh_public_key
  }

  identity {
    type         = "UserAssigned"
    identity_ids = [var.identity.id]
  }

  source_image_reference {
    publisher = "Canonical"
    offer     = "ubuntu-24_04-lts"
    sku       = "server"
    version   = "latest"
  }

  os_disk {
    caching              = "ReadWrite"
    storage_account_type = "StandardSSD_LRS"
    disk_size_gb         = 64
  }

  network_interface {
    name    = "nic"
    primary = true

    ip_configuration {
      name      = "internal"
      primary   = true
      subnet_id = var.subnet_id
    }
  }

  # The serial console, in storage of the platform
  boot_diagnostics {}
}
