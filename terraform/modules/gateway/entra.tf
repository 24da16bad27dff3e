# Tokens of Entra ID, where they are asked for: the check comes right after what the levels above do.

locals {
  # Tokens of version 2 name the application azp, those of version 1 appid
  application = "((Jwt)context.Variables[\"token\"]).Claims.GetValueOrDefault(\"azp\", ((Jwt)context.Variables[\"token\"]).Claims.GetValueOrDefault(\"appid\", \"\"))"

  token_check = var.entra == null ? "" : join("\n", concat(
    [
      "<validate-azure-ad-token tenant-id=\"${var.entra.tenant_id}\" failed-validation-httpcode=\"401\" output-token-variable-name=\"token\">",
      "<client-application-ids>",
    ],
    [for id in var.entra.client_application_ids : "<application-id>${id}</application-id>"],
    [
      "</client-application-ids>",
      "<audiences><audience>${var.entra.audience}</audience></audiences>",
      "</validate-azure-ad-token>",
    ],
    # Without subscriptions there is no product, so its limits are counted by application here
    local.keys_required ? [] : [
      "<rate-limit-by-key calls=\"{{calls-per-minute}}\" renewal-period=\"60\" counter-key=\"@(${local.application})\" />",
      "<quota-by-key calls=\"{{calls-per-day}}\" renewal-period=\"86400\" counter-key=\"@(${local.application})\" />",
    ],
  ))

  # The register's actor is the application then
  actor = local.keys_required ? "context.Subscription.Id" : local.application

  patient_policy = var.entra == null ? local.regional_policy : replace(
    replace(local.regional_policy, "/(<inbound>\\s*<base />)/", "$1\n${local.token_check}"),
    "context.Subscription.Id", local.actor
  )
}
