# With an edge in front of the gateway, calls that do not come from it are refused, and the address of the client is the
# one that the edge reports. Front Door and the Application Gateway set X-Azure-SocketIP themselves; the last value is
# theirs, should a client have sent one too.

locals {
  edge_checks = {
    front_door = <<-XML
      <check-header name="X-Azure-FDID" failed-check-httpcode="403" failed-check-error-message="Forbidden" ignore-case="true">
        <value>{{front-door-id}}</value>
      </check-header>
    XML

    application_gateway = try(<<-XML
      <ip-filter action="allow">
        <address-range from="${cidrhost(var.edge.subnet_prefix, 0)}" to="${cidrhost(var.edge.subnet_prefix, -1)}" />
      </ip-filter>
    XML
    , "")
  }

  edge_statements = var.edge == null ? "" : join("\n", concat(
    [
      local.edge_checks[var.edge.kind],
      "<set-variable name=\"client-address\" value='@(context.Request.Headers.GetValueOrDefault(\"X-Azure-SocketIP\", \"\").Split(\",\".ToCharArray()).Last().Trim())' />",
    ],
    [for header in ["X-Azure-FDID", "X-Azure-SocketIP", "X-Azure-ClientIP"] : "<set-header name=\"${header}\" exists-action=\"delete\" />"],
  ))

  edge_policy = var.edge == null ? local.global_policy : replace(local.global_policy, "<inbound>", "<inbound>\n${local.edge_statements}")

  addressed_policy = var.edge == null ? var.policies.patient : replace(
    var.policies.patient, "@(context.Request.IpAddress)", "@((string)context.Variables[\"client-address\"])"
  )

  edge_values = try(var.edge.kind, "") == "front_door" ? { front-door-id = var.edge.front_door_id } : {}
}
