# User-assigned, so that rights are granted before what needs them exists: one apply suffices, and a recreated app keeps its rights.

resource "azurerm_user_assigned_identity" "main" {
  for_each = var.names

  name                = each.value
  location            = var.location
  resource_group_name = var.resource_group_name
  tags                = var.tags
}
