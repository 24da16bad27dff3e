variable "context" {
  type = object({
    location            = string
    resource_group_name = string
    tags                = map(string)
  })
  description = "Region, resource group and tags of every resource."
  nullable    = false
}

variable "identity" {
  type = object({
    id        = string
    client_id = string
  })
  description = "The identity that reads the secret with the token of GitHub, and nothing else."
  nullable    = false
}

variable "names" {
  type = object({
    scale_set = string
  })
  description = "Names of the resources in this module."
  nullable    = false
}

variable "runner" {
  type = object({
    repository     = string
    version        = string
    sha256         = string
    ssh_public_key = string
    label          = string
    vm_size        = string
    instances      = number
    secret_name    = string
  })
  description = "Repository of the jobs, as owner/name; version of GitHub's runner and SHA-256 of its archive for Linux on x64; public key that Azure demands and that is installed nowhere; label of the runners; size and number of the machines; and the secret that holds a token which may register runners."
  nullable    = false
}

variable "subnet_id" {
  type        = string
  description = "Subnet of the machines, with a way out to the internet."
  nullable    = false
}

variable "vault_uri" {
  type        = string
  description = "Address of the vault that holds the secret, with a trailing slash."
  nullable    = false
}
