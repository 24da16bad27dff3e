# Validation of Entra ID tokens, if enabled. It follows the policies of the levels above.

locals {
  # Version 2 tokens contain the application in azp, version 1 tokens in appid
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
    # Without subscriptions there is no product, so the limits apply to each application
    local.keys_required ? [] : [
      "<rate-limit-by-key calls=\"{{calls-per-minute}}\" renewal-period=\"60\" counter-key=\"@(${local.application})\" />",
      "<quota-by-key calls=\"{{calls-per-day}}\" renewal-period=\"86400\" counter-key=\"@(${local.application})\" />",
    ],
  ))

  # The actor in audit records is the application
  actor = local.keys_required ? "context.Subscription.Id" : local.application

  patient_policy = var.entra == null ? local.regional_policy : replace(
    replace(local.regional_policy, "/(<inbound>\\s*<base />)/", "$1\n${local.token_check}"),
    "context.Subscription.Id", local.actor
  )
}
