output "scale_set_name" {
  description = "Name of the scale set, whose instances are reimaged by hand after a change."
  value       = azurerm_linux_virtual_machine_scale_set.main.name
}
