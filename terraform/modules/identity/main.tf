# User-assigned identities can get access rights before the apps exist: one apply is enough, and a recreated app keeps its rights.

resource "azurerm_user_assigned_identity" "main" {
  for_each = var.names

  name                = each.value
  location            = var.context.location
  resource_group_name = var.context.resource_group_name
  tags                = var.context.tags
}
