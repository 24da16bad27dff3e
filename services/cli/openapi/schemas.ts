interface Schema {
  type?: string | string[]
  properties?: Record<string, { default?: unknown, not?: object }>
  required?: string[]
}

/** A reference to `schema`, or to its items' schema, if it is one of `schemas`; otherwise the schema. */
export function referTo (schema: object, schemas: Record<string, object>): object {
  const [name] = Object.entries(schemas).find(([, named]) => named === schema) ?? []
  if (name) return { $ref: `${name}#` }
  const { items } = schema as { items?: object }
  return items ? { type: 'array', items: referTo(items, schemas) } : toOpenApi(schema)
}

/** A JSON Schema as OpenAPI 3.0 has it: with `nullable` for the type null, without forbidden properties. */
export function toOpenApi (schema: object): object {
  return JSON.parse(JSON.stringify(schema), (_key, value: Schema | null) => {
    if (Array.isArray(value?.type)) {
      return { ...value, type: value.type.find((type) => type !== 'null'), nullable: true }
    }
    if (!value?.properties) return value
    const allowed = Object.entries(value.properties).filter(([, { not }]) => not === undefined)
    return { ...value, properties: Object.fromEntries(allowed) }
  })
}

/** `schema` without its properties that have a default among the required ones. */
export function withOptionalDefaults (schema: Schema) {
  const { properties, required } = schema
  return { ...schema, required: required?.filter((name) => properties![name]!.default === undefined) }
}
