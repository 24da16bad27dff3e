# With additional regions, each gateway calls the services of its own region.

locals {
  backend = "<set-backend-service base-url=\"{{patient-backend-url}}\" />"

  regional_policy = replace(local.addressed_policy, local.backend, local.regional_backend)
  regional_backend = length(var.additional_locations) == 0 ? local.backend : join("\n", concat(
    ["<choose>"],
    flatten([
      for place in var.additional_locations : [
        "<when condition='@(context.Deployment.Region == \"${place.name}\")'>",
        "<set-backend-service base-url=\"{{patient-backend-url-${place.location}}}\" />",
        "</when>",
      ]
    ]),
    ["<otherwise>", local.backend, "</otherwise>", "</choose>"],
  ))

  auditor_policy = replace(
    var.policies.auditor,
    replace(local.backend, "patient-backend-url", "auditor-backend-url"),
    replace(local.regional_backend, "patient-backend-url", "auditor-backend-url"),
  )

  backends = merge(
    { patient-backend-url = var.urls.patient["primary"] },
    { audit-backend-url = var.urls.audit["primary"] },
    { for place in var.additional_locations : "patient-backend-url-${place.location}" => var.urls.patient[place.location] },
    { for place in var.additional_locations : "audit-backend-url-${place.location}" => var.urls.audit[place.location] },
    { for region, url in var.urls.auditor : region == "primary" ? "auditor-backend-url" : "auditor-backend-url-${region}" => url },
  )
}
